import { setTimeout as delay } from 'node:timers/promises';
import { Cluster } from 'ioredis';
import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import {
  lockContract,
  principalContract,
  sessionStateContract,
  type StoreContractOptions
} from 'mcp-sdk-anypod/testing';
import { startRedisCluster, type RedisCluster } from '../../support/servers/redisCluster.js';

let cluster: RedisCluster;
beforeAll(async () => void (cluster = await startRedisCluster()));
afterAll(() => cluster.stop());

const makeTwo: StoreContractOptions['makeTwo'] = async ({ ttlSeconds }) => {
  const clients = [new Cluster([...cluster.nodes]), new Cluster([...cluster.nodes])] as const;
  return {
    first: new RedisSessionStore({ redis: clients[0], ttlSeconds }),
    second: new RedisSessionStore({ redis: clients[1], ttlSeconds }),
    elapse: delay,
    close: async () => clients.forEach(client => client.disconnect())
  };
};

const name = 'RedisSessionStore on a cluster of three masters';
lockContract({ describe, it, name, makeTwo });
sessionStateContract({ describe, it, name, makeTwo });
principalContract({ describe, it, name, makeTwo });
