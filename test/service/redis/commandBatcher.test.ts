import { Redis } from 'ioredis';
import { RedisEventStore, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { useRedis } from '../../support/servers/useRedis.js';
import { spentOn } from '../../support/servers/redisStats.js';
import { startTcpProxy } from '../../support/servers/tcpProxy.js';

const redis = useRedis();
/** Without auto-pipelining, each command of this client is a write of its own. */
let pooled: Redis;
let store: RedisSessionStore;

beforeAll(() => {
  pooled = new Redis(redis.server.url);
  store = new RedisSessionStore({ redis: pooled, keyPrefix: 'touched:' });
});
afterAll(() => pooled.disconnect());

async function open(sessionId: string): Promise<NonNullable<Awaited<ReturnType<typeof store.touchSession>>>> {
  const now = Date.now();
  await store.storeSession(sessionId, { sessionId, initialized: true, createdAt: now, lastActivity: now });
  return (await store.touchSession(sessionId))!;
}

test('the sessions of one turn of the event loop are validated in one trip', async () => {
  const records = await Promise.all(Array.from({ length: 20 }, (_, index) => open(`s${index}`)));
  const touch = () => Promise.all(records.map(record => store.touchSession(record.sessionId, record)));
  expect(await spentOn(redis.client, touch)).toEqual({ commands: { getex: 20 }, trips: 1 });
  expect(await touch()).toEqual(records);
});

test('the session store and the event store on one client send the commands of one turn together', async () => {
  const record = await open('logged');
  const events = new RedisEventStore({ redis: pooled, keyPrefix: 'touched:' });
  const ask = () => Promise.all([store.touchSession('logged', record), events.getStreamIdForEventId('logged:a@0-1')]);
  expect(await spentOn(redis.client, ask)).toEqual({ commands: { getex: 1, get: 1 }, trips: 1 });
});

test('a failing or missing session does not affect the others of its batch', async () => {
  const [good, gone, broken] = await Promise.all(['good', 'gone', 'broken'].map(open));
  await redis.client.del('touched:{gone}', 'touched:{broken}');
  await redis.client.lpush('touched:{broken}', 'no string');
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

test('a connection that breaks within a reply fails no command of its batch', async () => {
  const network = await startTcpProxy(redis.server.port);
  const client = new Redis(network.port).on('error', () => {});
  const other = new RedisSessionStore({ redis: client, keyPrefix: 'touched:' });
  try {
    const records = await Promise.all(Array.from({ length: 20 }, (_, index) => open(`cut${index}`)));
    const touch = () => Promise.all(records.map(record => other.touchSession(record.sessionId, record)));
    await touch();
    network.cutWithin('$1\r\n1\r\n'.length * 3);
    expect((await touch()).map(record => record?.sessionId)).toEqual(records.map(({ sessionId }) => sessionId));
  } finally {
    client.disconnect();
    await network.stop();
  }
});

test('every command of a batch fails if the client is closed', async () => {
  const closed = new Redis(redis.server.url);
  const other = new RedisSessionStore({ redis: closed, keyPrefix: 'touched:' });
  const record = await open('known');
  await other.touchSession('known');
  closed.disconnect();
  const both = await Promise.allSettled([other.touchSession('known', record), other.touchSession('known', record)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});
