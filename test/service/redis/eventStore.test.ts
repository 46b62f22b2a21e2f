import { inspect } from 'node:util';
import { Cluster, Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { RedisEventStore, RedisSessionBus } from 'mcp-sdk-anypod/server';
import { eventStoreContract } from 'mcp-sdk-anypod/testing';
import { startRedisCluster, type RedisCluster } from '../../support/servers/redisCluster.js';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { spentOn } from '../../support/servers/redisStats.js';
import { startTcpProxy } from '../../support/servers/tcpProxy.js';
import { until } from '../../support/until.js';

let server: RedisServer;
let cluster: RedisCluster;
beforeAll(async () => void ([server, cluster] = await Promise.all([startRedisServer(), startRedisCluster()])));
afterAll(() => Promise.all([server.stop(), cluster.stop()]));

const clients: [string, () => Redis | Redis5 | Cluster][] = [
  ['ioredis 6', () => new Redis(server.url)],
  ['ioredis 5', () => new Redis5(server.url)],
  ['a client with a key prefix', () => new Redis(server.url, { keyPrefix: 'app:', enableAutoPipelining: true })],
  ['a cluster of three masters', () => new Cluster([...cluster.nodes])]
];

for (const [name, connect] of clients) {
  eventStoreContract({
    describe,
    it,
    name: `RedisEventStore on ${name}`,
    optionalMethods: [
      'getStreamIdForEventId',
      'latestEventId',
      'storeLastEvent',
      'storeOnlyEvent',
      'startEventId',
      'deleteStreams'
    ],
    makeTwo: async limits => {
      const connections = [connect(), connect()] as const;
      return {
        first: new RedisEventStore({ redis: connections[0], ...limits }),
        second: new RedisEventStore({ redis: connections[1], ...limits }),
        close: async () => connections.forEach(connection => connection.disconnect())
      };
    }
  });
}

test('an error for an event that Redis refuses contains neither the event nor its session id', async () => {
  const redis = new Redis(server.url);
  const bus = new RedisSessionBus({ redis });
  await redis.config('SET', 'maxmemory', '1');
  await redis.call('ACL', 'SETUSER', 'default', '-publish');
  const event = { jsonrpc: '2.0', method: 'notifications/secret' } as const;
  const refused = await Promise.allSettled([
    new RedisEventStore({ redis }).storeEvent('secret:standalone', event),
    bus.publish('session:secret', JSON.stringify(event))
  ]);
  await redis.config('SET', 'maxmemory', '0');
  await redis.call('ACL', 'SETUSER', 'default', '+publish');
  expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(inspect(refused, { depth: 9 })).not.toContain('secret');
  redis.disconnect();
});

const message = (data: unknown) => ({ jsonrpc: '2.0' as const, method: 'notifications/message', params: { data } });

describe('an event is stored once even if the connection breaks and the client sends it again', () => {
  test.each([
    ['in a log that its pod has written to', true],
    ['in a log that is new to its pod', false]
  ])('%s', async (_, knowsTheLog) => {
    const network = await startTcpProxy(server.port);
    const redis = new Redis(network.port, '127.0.0.1').on('error', () => {});
    const admin = new Redis(server.url);
    const keyPrefix = `again ${String(knowsTheLog)}:`;
    const store = new RedisEventStore({ redis, keyPrefix });
    const other = new RedisEventStore({ redis: admin, keyPrefix });
    const written = async () => admin.xlen(`${keyPrefix}events:stream`);
    const first = await (knowsTheLog ? store : other).storeEvent('stream', message(0));
    await redis.ping();
    // Redis has it, and its answer is on the way when the connection breaks.
    network.delay(10_000);
    const second = store.storeEvent('stream', message(1));
    await until('Redis has it', async () => (await written()) === 2);
    const others = await other.storeEvent('stream', message(2));
    network.cut();
    network.delay(0);
    network.restore();
    const id = await second;
    expect(await written()).toBe(3);
    const replayed: string[] = [];
    await store.replayEventsAfter(first, { send: async eventId => void replayed.push(eventId) });
    expect(replayed).toEqual([id, others]);
    [redis, admin].forEach(client => client.disconnect());
    await network.stop();
  });
});

test('appending an event makes Redis read no earlier event', async () => {
  const redis = new Redis(server.url);
  const store = new RedisEventStore({ redis, keyPrefix: 'large:' });
  const append = (size: number) => store.storeEvent('stream', message('x'.repeat(size)));
  await append(1_000_000);
  const luaPeak = async () => Number(/^used_memory_vm_eval:(\d+)/m.exec(await redis.info('memory'))?.[1]);
  await append(1);
  await redis.script('FLUSH', 'SYNC');
  const before = await luaPeak();
  for (let i = 0; i < 5; i++) await append(1);
  // What a script reads is a text in the memory of Lua.
  expect((await luaPeak()) - before).toBeLessThan(500_000);
  redis.disconnect();
});

test('a log is replayed from its cursor in one trip if a batch holds the rest', async () => {
  const redis = new Redis(server.url);
  const store = new RedisEventStore({ redis, keyPrefix: 'trips:' });
  const first = await store.storeEvent('stream', message(0));
  for (let i = 1; i < 500; i++) await store.storeEvent('stream', message(i));
  const replayed: unknown[] = [];
  const send = async (_: string, { params }: { params?: { data?: unknown } }) => void replayed.push(params?.data);
  const { trips } = await spentOn(redis, () => store.replayEventsAfter(first, { send: send as never }));
  expect(trips).toBe(1);
  expect(replayed).toEqual(Array.from({ length: 499 }, (_, i) => i + 1));
  redis.disconnect();
});
