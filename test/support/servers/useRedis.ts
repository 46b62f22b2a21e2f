import { Redis, type RedisOptions } from 'ioredis';
import { startRedisServer, type RedisServer } from './redisServer.js';

/** A private Redis, and a client of it for the test itself. */
export interface UsedRedis {
  server: RedisServer;
  client: Redis;
}

/** A Redis that runs during the tests of a file or of a `describe`; its members are there in hooks and tests. */
export function useRedis(options: RedisOptions = {}): UsedRedis {
  const used = {} as UsedRedis;
  beforeAll(async () => {
    used.server = await startRedisServer();
    used.client = new Redis(used.server.url, options);
  });
  afterAll(async () => {
    used.client.disconnect();
    await used.server.stop();
  });
  return used;
}
