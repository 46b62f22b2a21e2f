import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

const SAMPLE_EVERY_MICROS = 500;
let session: Session | undefined;

/** Starts Node's CPU profiler in this process. */
export async function startProfile(): Promise<void> {
  session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_EVERY_MICROS });
  await session.post('Profiler.start');
}

/** Stops the profiler and writes its samples to a file. */
export async function stopProfile({ file }: { file: string }): Promise<void> {
  const { profile } = await session!.post('Profiler.stop');
  session!.disconnect();
  session = undefined;
  writeFileSync(file, JSON.stringify(profile));
}
