import { Cluster, Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { RedisEventStore } from 'mcp-sdk-anypod/server';
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
