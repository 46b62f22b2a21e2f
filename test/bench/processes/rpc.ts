import { startProfile, stopProfile } from './cpuProfile.js';

/** Calls from the bench to a process that it forked, over Node's IPC channel: what a process answers, by name. */
export type Handlers = Record<string, (argument: never) => unknown>;

export interface Call {
  id: number;
  name: string;
  argument: unknown;
}

export interface Answer {
  id: number;
  result?: unknown;
  error?: string;
}

/** Answers the parent's calls, and tells it that the process is ready. The process ends with its parent. */
export function serve(handlers: Handlers): void {
  process.on('disconnect', () => process.exit(0));
  const all = { startProfile, stopProfile, ...handlers };
  process.on('message', (call: Call) => void answer(call, all));
  process.send!({ id: 0 } satisfies Answer);
}

async function answer({ id, name, argument }: Call, handlers: Handlers): Promise<void> {
  try {
    const result = await handlers[name]!(argument as never);
    process.send!({ id, result } satisfies Answer);
  } catch (error) {
    process.send!({ id, error: (error as Error).stack } satisfies Answer);
  }
}

/** What the bench said to a process when it started it. */
export function configuration<T>(): T {
  return JSON.parse(process.argv[2] ?? '{}') as T;
}

export function cpuMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
