import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Redis } from 'ioredis';
import { LockTimeoutError, RedisSessionStore, withLock } from 'mcp-sdk-anypod/server';
import { startPods, type Pod } from '../../support/pods/process.js';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { spentOn } from '../../support/servers/redisStats.js';
import { until } from '../../support/until.js';
import type { Seen } from '../../support/pods/lockPod.js';

let server: RedisServer;
let redis: Redis;
let store: RedisSessionStore;
let pods: Pod[] = [];
let first: Pod;
let second: Pod;
/** These are killed by the tests. */
let victims: Pod[];
let sessionId: string;

beforeAll(async () => {
  server = await startRedisServer();
  redis = new Redis(server.url).on('error', () => {});
  store = new RedisSessionStore({ redis });
  pods = await startPods(4, 'test/support/pods/lockPod.ts', ['--redis', server.url]);
  [first, second, ...victims] = pods as [Pod, Pod, ...Pod[]];
});

afterAll(async () => {
  await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
  redis.disconnect();
  await server.stop();
});

beforeEach(() => void (sessionId = randomUUID()));

const ask = async <T>(pod: Pod, path: string, query = {}): Promise<T> => {
  const response = await fetch(`${pod.origin}${path}?${new URLSearchParams({ session: sessionId, ...query })}`);
  if (!response.ok) throw new Error(await response.text());
  const text = await response.text();
  return JSON.parse(text || '{}') as T;
};
const seenOn = (pod: Pod) => ask<Seen>(pod, '/seen');

async function hold(pod: Pod, leaseMs: number): Promise<void> {
  await ask(pod, '/hold', { lease: leaseMs });
  await until('it holds the lock', async () => (await seenOn(pod)).holding);
}

/** Begins to wait on this pod; settles when Redis has it in the queue. */
async function waitOn(pod: Pod, leaseMs: number): Promise<void> {
  await ask(pod, '/hold', { lease: leaseMs });
  await until('it waits', async () => (await redis.zcard(`mcp:session:{${sessionId}}:lock-queue`)) === 1);
}

const isFree = () =>
  withLock(store, sessionId, () => true, { timeoutMs: 0 }).catch((error: unknown) => {
    if (error instanceof LockTimeoutError) return false;
    throw error;
  });

test('50 contenders in two processes get the lock one at a time and in order', async () => {
  const both = [first, second];
  const inside = (await Promise.all(both.map(pod => ask<number[]>(pod, '/contend', { count: 25 })))).flat();
  expect(inside).toEqual(Array.from({ length: 50 }, () => 1));
  const order = await redis.lrange(`order:${sessionId}`, 0, -1);
  for (const { pid } of both) {
    const own = order.filter(entry => entry.startsWith(`${pid} `)).map(entry => Number(entry.split(' ')[1]));
    expect(own).toEqual(Array.from({ length: 25 }, (_, index) => index));
  }
});

test('a lock that is free costs two trips, and 50 contenders in a process at most three each', async () => {
  const admin = new Redis(server.url);
  await withLock(store, sessionId, () => {});
  const alone = await spentOn(admin, () => withLock(store, sessionId, () => {}));
  expect([alone.commands.evalsha, alone.trips]).toEqual([2, 2]);
  const contend = () => Promise.all(Array.from({ length: 50 }, () => withLock(store, sessionId, async () => {})));
  expect((await spentOn(admin, contend)).commands.evalsha).toBeLessThanOrEqual(150);

  // Of another process only the first in line asks often, and ever less so: here it waits for 50 turns of the others.
  const otherClient = new Redis(server.url);
  const other = new RedisSessionStore({ redis: otherClient });
  await withLock(other, sessionId, () => {});
  const both = () =>
    Promise.all(Array.from({ length: 50 }, (_, i) => withLock(i % 2 ? store : other, sessionId, async () => {})));
  expect((await spentOn(admin, both)).commands.evalsha).toBeLessThanOrEqual(50 * 5);
  [admin, otherClient].forEach(client => client.disconnect());
});

test('a holder that pauses beyond its lease gets an abort signal and does not release the next lock', async () => {
  await hold(first, 500);
  first.signal('SIGSTOP');
  try {
    await hold(second, 60_000);
  } finally {
    first.signal('SIGCONT');
  }
  const lost = await until('it is over', async () => {
    const seen = await seenOn(first);
    return seen.outcome !== undefined && seen;
  });
  expect(lost).toEqual({ holding: true, aborted: true, outcome: 'ANYPOD_LOCK_LOST' });
  expect(await isFree()).toBe(false);
  await ask(second, '/let-go');
  await until('the other is done', async () => (await seenOn(second)).outcome === 'done');
  expect(await isFree()).toBe(true);
});

test('a holder that is killed keeps the next one waiting for its lease and no longer', async () => {
  const victim = victims.pop()!;
  await hold(victim, 1000);
  await waitOn(second, 60_000);
  expect((await seenOn(second)).holding).toBe(false);
  await victim.stop('SIGKILL');
  await until('the next one holds the lock', async () => (await seenOn(second)).holding);
  await ask(second, '/let-go');
});

test('a waiter that is killed loses its place', async () => {
  const victim = victims.pop()!;
  await withLock(store, sessionId, async () => {
    await waitOn(victim, 500);
    await victim.stop('SIGKILL');
  });
  expect(await withLock(store, sessionId, () => 'in')).toBe('in');
});

test('a Redis that has forgotten the lock, or is gone for longer than the lease, costs the holder the lock', async () => {
  await hold(first, 1000);
  await server.restart();
  await until('its signal has aborted', async () => (await seenOn(first)).outcome === 'ANYPOD_LOCK_LOST');

  await hold(second, 1000);
  await server.kill();
  await until('its signal has aborted', async () => (await seenOn(second)).aborted);
  await server.restart();
  await until('it is over', async () => (await seenOn(second)).outcome === 'ANYPOD_LOCK_LOST');
  expect(await until('the lock is free', isFree)).toBe(true);
});

test('a waiter keeps waiting through a restart of Redis', async () => {
  const held = withLock(
    store,
    sessionId,
    async signal => {
      const lost = once(signal, 'abort');
      await waitOn(first, 60_000);
      await server.restart();
      await lost;
    },
    { leaseMs: 2000 }
  );
  await expect(held).rejects.toMatchObject({ code: 'ANYPOD_LOCK_LOST' });
  await until('it holds the lock', async () => (await seenOn(first)).holding);
  await ask(first, '/let-go');
});

test('an unavailable store is reported as unavailable, and not as a taken lock', async () => {
  const settings = { maxRetriesPerRequest: 0, enableOfflineQueue: false, retryStrategy: () => null };
  const client = new Redis(server.url, settings).on('error', () => {});
  await until('it is ready', () => client.status === 'ready');
  const impatient = new RedisSessionStore({ redis: client });
  server.pause();
  try {
    const hanging = withLock(impatient, sessionId, () => {}, { timeoutMs: 100 });
    await expect(hanging).rejects.toMatchObject({ code: 'ANYPOD_STORE_UNAVAILABLE' });
  } finally {
    server.resume();
  }
  await server.kill();
  await until('it has noticed', () => client.status !== 'ready');
  await expect(withLock(impatient, sessionId, () => {})).rejects.toMatchObject({ code: 'ANYPOD_STORE_UNAVAILABLE' });
  await server.restart();
  client.disconnect();
});
