import { Cluster } from 'ioredis';
import { lockContract, principalContract, sessionStateContract } from 'mcp-sdk-anypod/testing';
import { startRedisCluster, type RedisCluster } from '../../support/servers/redisCluster.js';
import { twoRedisStores } from '../../support/stores/twoRedisStores.js';

let cluster: RedisCluster;
beforeAll(async () => void (cluster = await startRedisCluster()));
afterAll(() => cluster.stop());

const makeTwo = twoRedisStores(() => new Cluster([...cluster.nodes]));

const name = 'RedisSessionStore on a cluster of three masters';
lockContract({ describe, it: test.concurrent, name, makeTwo });
sessionStateContract({ describe, it: test.concurrent, name, makeTwo });
principalContract({ describe, it: test.concurrent, name, makeTwo });
