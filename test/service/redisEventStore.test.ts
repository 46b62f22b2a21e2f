import { inspect } from 'node:util';
import { Cluster, Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { RedisEventStore, RedisSessionBus } from 'mcp-sdk-anypod/server';
import { eventStoreContract } from 'mcp-sdk-anypod/testing';
import { startRedisCluster, type RedisCluster } from '../support/redisCluster.js';
import { startRedisServer, type RedisServer } from '../support/redisServer.js';
import { startTcpProxy } from '../support/tcpProxy.js';
import { until } from '../support/until.js';

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
    optionalMethods: ['getStreamIdForEventId', 'latestEventId'],
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

test('what Redis refuses is told without the event, and without the id of its session', async () => {
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

test('an event is there once, also where the connection breaks behind it and the client sends it again', async () => {
  const network = await startTcpProxy(server.port);
  const redis = new Redis(network.port, '127.0.0.1').on('error', () => {});
  const store = new RedisEventStore({ redis, keyPrefix: 'again:' });
  const message = (data: number) => ({ jsonrpc: '2.0' as const, method: 'notifications/message', params: { data } });
  const first = await store.storeEvent('stream', message(0));
  const admin = new Redis(server.url);
  const written = async () => admin.xlen('again:events:stream');
  // Redis has it, and its answer is on the way when the connection breaks.
  network.delay(60_000);
  const second = store.storeEvent('stream', message(1));
  await until('Redis has it', async () => (await written()) === 2);
  network.cut();
  network.delay(0);
  network.restore();
  const id = await second;
  expect(await written()).toBe(2);
  const replayed: string[] = [];
  await store.replayEventsAfter(first, { send: async eventId => void replayed.push(eventId) });
  expect(replayed).toEqual([id]);
  [redis, admin].forEach(client => client.disconnect());
  await network.stop();
});
