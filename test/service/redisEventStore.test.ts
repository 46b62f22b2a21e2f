import { inspect } from 'node:util';
import { Cluster, Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { RedisEventStore, RedisSessionBus } from 'mcp-sdk-anypod/server';
import { eventStoreContract } from 'mcp-sdk-anypod/testing';
import { startRedisCluster, type RedisCluster } from '../support/redisCluster.js';
import { startRedisServer, type RedisServer } from '../support/redisServer.js';

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
