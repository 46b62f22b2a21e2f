import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5';
import {
  RedisTaskMessageQueue,
  RedisTaskStore,
  type RedisTaskClient,
  type RedisTaskQueueClient
} from 'mcp-sdk-anypod/server';
import { taskMessageQueueContract, taskStoreContract } from 'mcp-sdk-anypod/testing';
import { useRedisAndCluster } from '../../support/servers/useRedisAndCluster.js';

const used = useRedisAndCluster();

type Client = RedisTaskClient & RedisTaskQueueClient & { disconnect(): void };

function onRedis(name: string, connect: () => Client): void {
  const makeTwo = async <T>(make: (options: { redis: Client }) => T) => {
    const clients = [connect(), connect()] as const;
    return {
      first: make({ redis: clients[0] }),
      second: make({ redis: clients[1] }),
      close: async () => clients.forEach(client => client.disconnect())
    };
  };
  taskStoreContract({ describe, it, name, makeTwo: () => makeTwo(options => new RedisTaskStore(options)) });
  taskMessageQueueContract({
    describe,
    it,
    name,
    makeTwo: () => makeTwo(options => new RedisTaskMessageQueue(options))
  });
}

onRedis('Redis with ioredis 6', () => new Redis(used.server.url));
onRedis('Redis with ioredis 5, a key prefix and automatic pipelines', () => {
  return new Redis5(used.server.url, { keyPrefix: 'app:', enableAutoPipelining: true });
});
onRedis('a Redis Cluster with ioredis 6', () => new Cluster([...used.cluster.nodes]));
onRedis('a Redis Cluster with ioredis 5', () => new Cluster5([...used.cluster.nodes]));
