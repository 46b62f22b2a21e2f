import { Redis } from 'ioredis';
import { startRedisCluster, type RedisCluster } from './redisCluster.js';
import { startRedisServer, type RedisServer } from './redisServer.js';

export interface UsedRedisAndCluster {
  server: RedisServer;
  cluster: RedisCluster;
  /** Clients of the single server and of each master. */
  admins: Redis[];
}

/** A single Redis and a Redis Cluster that run during the tests of a file. */
export function useRedisAndCluster(): UsedRedisAndCluster {
  const used = {} as UsedRedisAndCluster;
  beforeAll(async () => {
    const [server, cluster] = await Promise.all([startRedisServer(), startRedisCluster()]);
    const admins = [server, ...cluster.masters].map(({ url }) => new Redis(url));
    Object.assign(used, { server, cluster, admins });
  });
  afterAll(async () => {
    used.admins.forEach(admin => admin.disconnect());
    await Promise.all([used.server.stop(), used.cluster.stop()]);
  });
  return used;
}
