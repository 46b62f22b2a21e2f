import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5';
import {
  RedisTaskMessageQueue,
  RedisTaskStore,
  type RedisTaskClient,
  type RedisTaskQueueClient
} from 'mcp-sdk-anypod/server';
import { startRedisCluster, type RedisCluster } from '../../support/servers/redisCluster.js';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { taskStoreContract, type TwoTaskBackends } from '../../support/contracts/taskStoreContract.js';

let server: RedisServer;
let cluster: RedisCluster;
beforeAll(async () => void ([server, cluster] = await Promise.all([startRedisServer(), startRedisCluster()])));
afterAll(() => Promise.all([server.stop(), cluster.stop()]));

type Client = RedisTaskClient & RedisTaskQueueClient & { disconnect(): void };

function onRedis(name: string, connect: () => Client): void {
  taskStoreContract(name, async (): Promise<TwoTaskBackends> => {
    const clients = [connect(), connect()] as const;
    return {
      stores: [new RedisTaskStore({ redis: clients[0] }), new RedisTaskStore({ redis: clients[1] })],
      queues: [new RedisTaskMessageQueue({ redis: clients[0] }), new RedisTaskMessageQueue({ redis: clients[1] })],
      elapse: delay,
      close: async () => clients.forEach(client => client.disconnect())
    };
  });
}

onRedis('Redis with ioredis 6', () => new Redis(server.url));
onRedis('Redis with ioredis 5, a key prefix and automatic pipelines', () => {
  return new Redis5(server.url, { keyPrefix: 'app:', enableAutoPipelining: true });
});
onRedis('a Redis Cluster with ioredis 6', () => new Cluster([...cluster.nodes]));
onRedis('a Redis Cluster with ioredis 5', () => new Cluster5([...cluster.nodes]));
