import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { PostgresServer } from './postgresServer.js';
import { type RedisServer, startRedisServer } from './redisServer.js';

/** A private Redis and a private Postgres, each with a client for the test itself. */
export interface UsedServers {
  redis: RedisServer;
  postgres: PostgresServer;
  client: Redis;
  pool: Pool;
}

/** A Redis and a Postgres that run during the tests of a file; the members are set in hooks and tests. */
export function useRedisAndPostgres(): UsedServers {
  const used = {} as UsedServers;
  beforeAll(async () => {
    const [redis, postgres] = await Promise.all([startRedisServer(), PostgresServer.create()]);
    const [client, pool] = [new Redis(redis.url), new Pool({ connectionString: postgres.url })];
    Object.assign(used, { redis, postgres, client, pool });
  });
  afterAll(async () => {
    used.client.disconnect();
    await used.pool.end();
    await Promise.all([used.redis.stop(), used.postgres.destroy()]);
  });
  return used;
}
