import { setTimeout as delay } from 'node:timers/promises';
import { type RedisClient, RedisSessionStore, type SessionStore } from 'mcp-sdk-anypod/server';
import type { StoreContractOptions } from 'mcp-sdk-anypod/testing';

/** For contract suites: two stores over one Redis, each with a client of its own. */
export function twoRedisStores(
  connect: () => RedisClient & { disconnect(): void },
  make: (redis: RedisClient, ttlSeconds: number) => SessionStore = (redis, ttlSeconds) =>
    new RedisSessionStore({ redis, ttlSeconds })
): StoreContractOptions['makeTwo'] {
  return async ({ ttlSeconds }) => {
    const clients = [connect(), connect()] as const;
    return {
      first: make(clients[0], ttlSeconds),
      second: make(clients[1], ttlSeconds),
      elapse: delay,
      close: async () => clients.forEach(client => client.disconnect())
    };
  };
}
