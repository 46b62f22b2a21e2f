import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** In the package's scope, so that what runs there imports the package under its name: from `dist`, as users do. */
export const BUILT = join(ROOT, '.bench');

/**
 * Builds `dist` where it is older than `src`, and the bench's processes. They run as compiled code in plain Node, for the
 * stock SDK is compiled too: a loader's transform would slow one side alone.
 */
export async function buildAll(wanted: boolean): Promise<void> {
  const built = await newest(join(ROOT, 'dist'));
  if (wanted && built < (await newest(join(ROOT, 'src')))) {
    const child = spawn('npm', ['run', 'build'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error('npm run build failed');
  }
  const sources = join(ROOT, 'test/bench/processes');
  const entries = (await readdir(sources)).map(name => join(sources, name));
  await build({
    entryPoints: entries,
    outdir: BUILT,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'es2022',
    // The repository's `paths` lead to sources.
    tsconfigRaw: '{}'
  });
}

/** When the newest file below a folder was written; 0 where the folder is not there. */
async function newest(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const times = await Promise.all(names.map(async name => (await stat(join(folder, name))).mtimeMs));
  return times.reduce((latest, time) => Math.max(latest, time), 0);
}
