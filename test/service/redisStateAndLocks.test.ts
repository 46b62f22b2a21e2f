import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import { RedisSessionStore, type RedisClient } from 'mcp-sdk-anypod/server';
import { lockContract } from '../../src/testing/lockContract.js';
import { principalContract } from '../../src/testing/principalContract.js';
import { sessionStateContract } from '../../src/testing/sessionStateContract.js';
import type { MakeStorePair } from '../../src/testing/storePair.js';
import { startRedisCluster, type RedisCluster } from '../support/redisCluster.js';
import { startRedisServer, type RedisServer } from '../support/redisServer.js';

let server: RedisServer;
let cluster: RedisCluster;
beforeAll(async () => {
  [server, cluster] = await Promise.all([startRedisServer(), startRedisCluster()]);
});
afterAll(async () => {
  await Promise.all([server.stop(), cluster.stop()]);
});

const over =
  (connect: () => RedisClient & { disconnect(): void }): MakeStorePair =>
  async ({ ttlSeconds }) => {
    const clients = [connect(), connect()] as const;
    return {
      first: new RedisSessionStore({ redis: clients[0], ttlSeconds }),
      second: new RedisSessionStore({ redis: clients[1], ttlSeconds }),
      elapse: delay,
      close: async () => clients.forEach(client => client.disconnect())
    };
  };

const backends: [string, MakeStorePair][] = [
  ['RedisSessionStore', over(() => new Redis(server.url))],
  ['RedisSessionStore on a cluster of three masters', over(() => new Cluster([...cluster.nodes]))]
];

for (const [name, makePair] of backends) {
  lockContract({ describe, it }, name, makePair);
  sessionStateContract({ describe, it }, name, makePair);
  principalContract({ describe, it }, name, makePair);
}
