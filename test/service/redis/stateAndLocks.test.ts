import { Redis } from 'ioredis';
import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import { lockContract, principalContract, sessionStateContract } from 'mcp-sdk-anypod/testing';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { twoRedisStores } from '../../support/stores/twoRedisStores.js';

let server: RedisServer;
beforeAll(async () => void (server = await startRedisServer()));
afterAll(() => server.stop());

const makeTwo = twoRedisStores(() => new Redis(server.url));

lockContract({ describe, it: test.concurrent, name: 'RedisSessionStore', makeTwo });
sessionStateContract({ describe, it: test.concurrent, name: 'RedisSessionStore', makeTwo });
principalContract({ describe, it: test.concurrent, name: 'RedisSessionStore', makeTwo });

test('every key of a lock and of a state has a time to live, and is deleted with its session', async () => {
  const redis = new Redis(server.url);
  await redis.flushall();
  const store = new RedisSessionStore({ redis, keyPrefix: '', ttlSeconds: 100 });
  const now = Date.now();
  await store.storeSession('a', { sessionId: 'a', initialized: true, createdAt: now, lastActivity: now });
  await store.putState('a', '1');
  await store.acquireLock('a', 'holder', 50_000);
  await store.acquireLock('a', 'long', 70_000);
  await store.acquireLock('a', 'short', 10_000);
  const secondsLeft = async () => {
    const keys = (await redis.keys('*')).sort();
    return Object.fromEntries(await Promise.all(keys.map(async key => [key, await redis.ttl(key)] as const)));
  };
  const session = { '{a}': 100, '{a}:record': 200, [(await redis.keys('sessions:*'))[0]!]: 200 };
  const queue = { '{a}:lock-places': 70, '{a}:lock-queue': 70 };
  expect(await secondsLeft()).toEqual({ ...session, '{a}:lock': 50, ...queue });
  await store.releaseLock('a', 'holder');
  await store.releaseLock('a', 'short');
  expect(await secondsLeft()).toEqual({ ...session, ...queue });
  await store.releaseLock('a', 'long');
  expect(await secondsLeft()).toEqual(session);
  await store.deleteSession('a');
  expect(await secondsLeft()).toEqual({ '{a}:deleted': 60 });
  redis.disconnect();
});

test('a state is not written if Redis has evicted the record, and a full Redis refuses the state', async () => {
  const redis = new Redis(server.url);
  const store = new RedisSessionStore({ redis, keyPrefix: 'full:' });
  const now = Date.now();
  await store.storeSession('a', { sessionId: 'a', initialized: true, createdAt: now, lastActivity: now });
  await store.putState('a', '1');
  await redis.config('SET', 'maxmemory', '1');
  try {
    await expect(store.putState('a', '2')).rejects.toThrow('OOM');
    expect((await store.getState('a'))?.value).toBe('1');
    expect(await store.putState('a', null)).toBe('written');
  } finally {
    await redis.config('SET', 'maxmemory', '0');
  }
  await redis.del('full:{a}:record');
  expect(await store.putState('a', '3')).toBe('missing');
  expect(await redis.exists('full:{a}:record')).toBe(0);
  redis.disconnect();
});
