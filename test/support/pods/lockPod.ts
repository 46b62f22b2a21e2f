import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { RedisSessionStore, withLock } from 'mcp-sdk-anypod/server';
import { runPod } from './runPod.js';

/**
 * A process that locks what it is told to. `/contend` lets so many contend, each of which notes in Redis when it is in;
 * `/hold` begins to wait for a lock and keeps it until `/let-go`, or until it is lost; `/seen` tells what became of it.
 */
const { values: flags } = parseArgs({ options: { redis: { type: 'string', default: 'redis://127.0.0.1:6379' } } });

export interface Seen {
  holding: boolean;
  aborted: boolean;
  /** What `withLock` returned, or the code of what it threw. */
  outcome?: string;
}

const redis = new Redis(flags.redis).on('error', () => {});
const store = new RedisSessionStore({ redis });
const seen: Seen = { holding: false, aborted: false };
let letGo: () => void = () => {};

await runPod((req, res) => {
  const url = new URL(req.url ?? '/', 'http://pod');
  const sessionId = url.searchParams.get('session') ?? '';
  const leaseMs = Number(url.searchParams.get('lease') ?? 10_000);
  const answer = (body: unknown) => res.end(JSON.stringify(body));
  switch (url.pathname) {
    case '/contend':
      return void contend(sessionId, Number(url.searchParams.get('count'))).then(answer, (error: Error) => {
        res.statusCode = 500;
        res.end(error.message);
      });
    case '/hold':
      void hold(sessionId, leaseMs);
      return answer({});
    case '/let-go':
      return answer(letGo());
    default:
      return answer(seen);
  }
});

async function contend(sessionId: string, count: number): Promise<number[]> {
  const enter = (index: number) =>
    withLock(store, sessionId, async signal => {
      const inside = await redis.incr(`inside:${sessionId}`);
      await redis.rpush(`order:${sessionId}`, `${process.pid} ${index}`);
      await delay(1);
      await redis.decr(`inside:${sessionId}`);
      signal.throwIfAborted();
      return inside;
    });
  return Promise.all(Array.from({ length: count }, (_, index) => enter(index)));
}

async function hold(sessionId: string, leaseMs: number): Promise<void> {
  Object.assign(seen, { holding: false, aborted: false, outcome: undefined });
  try {
    seen.outcome = await withLock(
      store,
      sessionId,
      async signal => {
        seen.holding = true;
        await new Promise<void>(resolve => {
          letGo = resolve;
          signal.addEventListener('abort', () => {
            seen.aborted = true;
            resolve();
          });
        });
        return 'done';
      },
      { leaseMs }
    );
  } catch (error) {
    seen.outcome = (error as { code?: string }).code ?? String(error);
  }
}
