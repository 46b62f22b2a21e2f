import type { Redis } from 'ioredis';

/** What a piece of work cost Redis. */
export interface Spent {
  /** Calls by command, those that scripts make among them. */
  readonly commands: Record<string, number>;
  /** How often Redis read from a socket: a pipeline is one trip. */
  readonly trips: number;
}

/** Has Redis itself count what `work` asks of it; nobody else may use the server meanwhile. */
export async function spentOn(admin: Redis, work: () => Promise<unknown>): Promise<Spent> {
  await admin.config('RESETSTAT');
  await work();
  const info = await admin.info('all');
  const commands: Record<string, number> = {};
  for (const [, command, calls] of info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
    if (command !== 'config|resetstat' && command !== 'info') commands[command!] = Number(calls);
  }
  // The request for the figures is one trip itself.
  const reads = Number(/^total_reads_processed:(\d+)/m.exec(info)?.[1]);
  return { commands, trips: reads - 1 };
}
