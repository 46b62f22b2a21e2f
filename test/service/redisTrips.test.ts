import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import { startRedisServer, type RedisServer } from '../support/redisServer.js';
import { commandsIn, spentOn } from '../support/redisStats.js';
import { startTcpProxy } from '../support/tcpProxy.js';
import { until } from '../support/until.js';

const IMMEDIATES = ['setImmediate', 'clearImmediate', 'setInterval', 'clearInterval'] as const;

let server: RedisServer;
let admin: Redis;
let redis: Redis;
let store: RedisSessionStore;

beforeAll(async () => {
  server = await startRedisServer();
  admin = new Redis(server.url);
  // Without auto-pipelining: each command of this client is a write of its own.
  redis = new Redis(server.url);
  store = new RedisSessionStore({ redis, keyPrefix: 'touched:' });
});

afterAll(async () => {
  [admin, redis].forEach(client => client.disconnect());
  await server.stop();
});

async function open(sessionId: string): Promise<NonNullable<Awaited<ReturnType<typeof store.touchSession>>>> {
  const now = Date.now();
  await store.storeSession(sessionId, { sessionId, initialized: true, createdAt: now, lastActivity: now });
  return (await store.touchSession(sessionId))!;
}

/** Opens sessions; what is returned refreshes all of them in the same turn of the event loop. */
async function openMany(count: number, name: string, on = store) {
  const records = await Promise.all(Array.from({ length: count }, (_, index) => open(`${name}${index}`)));
  const touch = () => Promise.all(records.map(record => on.touchSession(record.sessionId, record)));
  // From here on Redis knows the script.
  expect(await touch()).toEqual(records);
  return { records, touch };
}

test('the sessions of one turn of the event loop are validated by one command', async () => {
  const { touch } = await openMany(20, 's');
  expect(await spentOn(admin, touch)).toEqual({ commands: { evalsha: 1, getex: 20 }, trips: 1 });
});

test('no command keeps Redis from other pods for long, however many sessions there are', async () => {
  const { touch } = await openMany(300, 'many');
  expect((await spentOn(admin, touch)).commands).toEqual({ evalsha: 3, getex: 300 });
});

test('what comes in several turns while Redis has not answered goes together', async () => {
  const { records } = await openMany(5, 'turn');
  // The longest that anything waits for an answer is not to end here.
  jest.useFakeTimers({ doNotFake: ['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask', ...IMMEDIATES] });
  try {
    const touched: Promise<unknown>[] = [];
    const touchEachInItsTurn = async () => {
      for (const record of records) {
        touched.push(store.touchSession(record.sessionId, record));
        await new Promise(resolve => setImmediate(resolve));
      }
      server.resume();
      expect(await Promise.all(touched)).toEqual(records);
    };
    await admin.config('RESETSTAT');
    server.pause();
    await touchEachInItsTurn();
  } finally {
    server.resume();
    jest.useRealTimers();
  }
  expect(commandsIn(await admin.info('commandstats'))).toMatchObject({ evalsha: 1, getex: 5 });
});

test('what comes while Redis stands still waits for no other answer', async () => {
  const { records } = await openMany(2, 'still');
  const monitor = await new Redis(server.url).monitor();
  const seen: string[] = [];
  monitor.on('monitor', (_time: string, [command]: string[]) => seen.push(command!));
  await until('the monitor listens', async () => (await admin.ping()) && seen.includes('ping'));
  seen.length = 0;
  server.pause();
  const touched: Promise<unknown>[] = [];
  try {
    for (const record of records) {
      touched.push(store.touchSession(record.sessionId, record));
      await delay(20);
    }
  } finally {
    server.resume();
  }
  expect(await Promise.all(touched)).toEqual(records);
  await until('it has seen both', () => seen.length >= 2);
  expect(seen).toEqual(['getex', 'getex']);
  monitor.disconnect();
});

test('each is alive for as long as it should be', async () => {
  const { records, touch } = await openMany(3, 'alive');
  const keys = records.map(({ sessionId }) => `touched:{${sessionId}}`);
  await Promise.all(keys.map(key => admin.expire(key, 10)));
  await touch();
  for (const key of keys) expect(await admin.ttl(key)).toBeGreaterThan(3590);
});

test('through a connection to several nodes, where a command is for one slot, each is validated by itself', async () => {
  const config = join(tmpdir(), `nodes-${process.pid}.conf`);
  const node = await startRedisServer({ args: ['--cluster-enabled', 'yes', '--cluster-config-file', config] });
  const client = new Redis(node.url);
  try {
    await client.cluster('ADDSLOTSRANGE', 0, 16383);
    await until('it serves all slots', async () => (await client.cluster('INFO')).includes('cluster_state:ok'));
    const other = new RedisSessionStore({ redis: client });
    const now = Date.now();
    const ids = ['one', 'two', 'three'];
    const records = ids.map(sessionId => ({ sessionId, initialized: true, createdAt: now, lastActivity: now }));
    await Promise.all(records.map(record => other.storeSession(record.sessionId, record)));
    const known = await Promise.all(ids.map(id => other.touchSession(id)));
    const touch = () => Promise.all(ids.map((id, index) => other.touchSession(id, known[index]!)));
    expect(await touch()).toEqual(known);
    expect((await spentOn(client, touch)).commands).toEqual({ getex: 3 });
  } finally {
    client.disconnect();
    await node.stop();
    await rm(config);
  }
});

test('one that fails, or is not there, is alone in that', async () => {
  const [good, gone, broken] = await Promise.all(['good', 'gone', 'broken'].map(open));
  await admin.del('touched:{gone}', 'touched:{broken}');
  await admin.lpush('touched:{broken}', 'no string');
  const touched = [good!, gone!, broken!].map(record => store.touchSession(record.sessionId, record));
  const [first, second, third] = await Promise.allSettled(touched);
  expect(first).toEqual({ status: 'fulfilled', value: good });
  expect(second).toEqual({ status: 'fulfilled', value: null });
  expect(third).toMatchObject({
    status: 'rejected',
    reason: { message: expect.stringContaining('WRONGTYPE') as string }
  });
  // ioredis hangs the command, with its key, on the error.
  expect((third as PromiseRejectedResult).reason).not.toHaveProperty('command');
});

test.each([
  // 300 are more than go in one command, and the second is cut.
  { method: 'touchSession', enableAutoPipelining: true, count: 300, cutAfter: 1200 },
  { method: 'touchSession', enableAutoPipelining: false, count: 20, cutAfter: 30 },
  { method: 'getSession', enableAutoPipelining: false, count: 20, cutAfter: 30 }
] as const)(
  'a connection that breaks within an answer fails none of those that wait for it: $method, $count',
  async ({ method, enableAutoPipelining, count, cutAfter }) => {
    const network = await startTcpProxy(server.port);
    const client = new Redis(network.port, { enableAutoPipelining }).on('error', () => {});
    const other = new RedisSessionStore({ redis: client, keyPrefix: 'touched:' });
    try {
      const { records } = await openMany(count, `cut ${method} ${count}`, other);
      network.cutWithin(cutAfter);
      const asked = records.map(record => other[method](record.sessionId, record));
      expect((await Promise.all(asked)).map(record => record?.sessionId)).toEqual(
        records.map(({ sessionId }) => sessionId)
      );
    } finally {
      client.disconnect();
      await network.stop();
    }
  }
);

test('a client that is closed makes each fail', async () => {
  const closed = new Redis(server.url);
  const other = new RedisSessionStore({ redis: closed, keyPrefix: 'touched:' });
  const record = await open('known');
  await other.touchSession('known');
  closed.disconnect();
  const both = await Promise.allSettled([other.touchSession('known', record), other.touchSession('known', record)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
