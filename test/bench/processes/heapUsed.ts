import type { WebClient } from './webClient.js';

/** The heap after collecting, when what is under way has ended. The process needs `--expose-gc`. */
export async function settledHeap(): Promise<number> {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise(resolve => setTimeout(resolve, 20));
    global.gc!();
  }
  return process.memoryUsage().heapUsed;
}

/** Bytes of heap for each of so many sessions that a client opens. */
export async function heapOfSession(client: WebClient, count: number): Promise<number> {
  // Code, and what is made once, is there before.
  await client.openMany(count / 5);
  const before = await settledHeap();
  await client.openMany(count);
  return ((await settledHeap()) - before) / count;
}
