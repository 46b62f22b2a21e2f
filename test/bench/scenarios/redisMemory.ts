import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { withRedis } from '../redis.js';
import { INITIALIZE } from '../client.js';
import type { Detail, Row, Scenario } from '../scenario.js';
import { summarize } from '../statistics.js';
import { Worker } from '../worker.js';

/** Sessions that are there before: for the first of them Redis takes nearly a megabyte that it takes once. */
const BEFORE = 1000;

/** What a session that a typical client has opened takes in Redis. */
export const redisMemory: Scenario = {
  name: 'memory',
  title: 'memory of Redis for each session',
  run: ({ quick }) =>
    withRedis(async redis => {
      const count = quick ? 1000 : 20_000;
      const admin = new Redis(redis);
      try {
        await openSessions(redis, BEFORE, async () => {});
        await untilAlone(admin);
        const before = await usedMemory(admin);
        let live = 0;
        await openSessions(redis, count, async () => void (live = await usedMemory(admin)));
        await untilAlone(admin);
        const after = await usedMemory(admin);
        const { sum, kinds } = await memoryOfKeys(admin);
        return { rows: rowsOf({ count, stored: after - before, live: live - after, sum }), details: kinds };
      } finally {
        admin.disconnect();
      }
    })
};

function rowsOf({ count, stored, live, sum }: Record<'count' | 'stored' | 'live' | 'sum', number>): Row[] {
  return [
    {
      measure: 'Redis memory for each session',
      unit: 'B',
      method: `used_memory after less before ${count} sessions were opened by the handshake of a typical client (${JSON.stringify(INITIALIZE.params)}) on a pod that has left`,
      goal: { atMost: 600 },
      ...summarize([stored / count])
    },
    {
      measure: 'the same, MEMORY USAGE of all keys',
      unit: 'B',
      method: 'the sum of MEMORY USAGE over all keys, divided by the sessions',
      ...summarize([sum / (count + BEFORE)])
    },
    {
      measure: 'Redis memory for each pod on which a session is live',
      unit: 'B',
      method:
        'used_memory while the pod was there, less after it had left: subscriptions, and the buffers of its connections',
      ...summarize([live / count])
    }
  ];
}

/** Has a pod of its own open sessions; the pod is gone when this resolves. */
async function openSessions(redis: string, count: number, whileThere: () => Promise<void>): Promise<void> {
  const worker = await Worker.start('fill', { redis });
  try {
    await worker.call('open', { count });
    await whileThere();
  } finally {
    await worker.stop();
  }
}

/** Until Redis has noticed that the others have left. */
async function untilAlone(admin: Redis): Promise<void> {
  while (!(await admin.info('clients')).includes('connected_clients:1\r\n')) await delay(20);
}

async function usedMemory(admin: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await admin.info('memory'))?.[1]);
}

/** By kind of key. */
async function memoryOfKeys(admin: Redis): Promise<{ sum: number; kinds: Detail[] }> {
  const kinds = new Map<string, { key: string; keys: number; bytes: number }>();
  for await (const keys of admin.scanStream({ count: 1000 }) as AsyncIterable<string[]>) {
    const pipeline = admin.pipeline();
    for (const key of keys) pipeline.call('MEMORY', 'USAGE', key, 'SAMPLES', '0').object('ENCODING', key);
    const answers = ((await pipeline.exec()) ?? []).map(([, answer]) => answer);
    for (const [index, name] of keys.entries()) {
      const key = `${name.replace(/\{.*\}/, '{session}')} (${String(answers[2 * index + 1])})`;
      const kind = kinds.get(key) ?? { key, keys: 0, bytes: 0 };
      kinds.set(key, { key, keys: kind.keys + 1, bytes: kind.bytes + Number(answers[2 * index]) });
    }
  }
  const found = [...kinds.values()].sort((a, b) => b.bytes - a.bytes);
  return { sum: found.reduce((sum, { bytes }) => sum + bytes, 0), kinds: found.slice(0, 10) };
}
