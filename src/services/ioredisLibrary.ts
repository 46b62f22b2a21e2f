import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { type OwnRedis, type RedisLibrary, type RedisProbe, SOCKET_TIMEOUT_MS } from './redisLibrary.js';
import type { RedisAddress } from './redisUrl.js';

interface Ioredis {
  Redis: typeof Redis;
  Cluster: typeof Cluster;
}

/** Connects by ioredis 5 or 6, or by iovalkey. */
export function ioredisLibrary({ Redis, Cluster }: Ioredis): RedisLibrary {
  return {
    probe: (address, timeoutMs) => probeOf(new Redis({ ...singleOf(address), ...onceOptions(timeoutMs) }), address.db),
    client(address, isCluster) {
      const own = { lazyConnect: true, enableAutoPipelining: true };
      const { host, port, access } = address;
      if (!isCluster) return owned(new Redis({ ...own, ...singleOf(address), socketTimeout: SOCKET_TIMEOUT_MS }));
      const cluster = new Cluster([{ host, port }], {
        ...own,
        redisOptions: { ...access, socketTimeout: SOCKET_TIMEOUT_MS },
        // A certificate contains the host's name, not its address.
        ...(access.tls && { dnsLookup: (name: string, done: (error: null, found: string) => void) => done(null, name) })
      });
      return owned(cluster as unknown as Redis);
    }
  };
}

function singleOf({ host, port, db, access }: RedisAddress): RedisOptions {
  return { host, port, db, ...access };
}

function onceOptions(timeoutMs: number): RedisOptions {
  return { lazyConnect: true, connectTimeout: timeoutMs, retryStrategy: () => null, maxRetriesPerRequest: 0 };
}

function probeOf(redis: Redis, db: number): RedisProbe {
  // The error of connect() only states that the connection is closed.
  let reason: Error | undefined;
  redis.on('error', error => (reason = error));
  return {
    async ask() {
      await redis.connect();
      await redis.ping();
      // If this fails during connect, ioredis only logs it and continues with database 0.
      if (db) await redis.select(db);
      return redis.info('cluster').catch(() => '');
    },
    reason: () => reason,
    end: () => redis.disconnect()
  };
}

function owned(redis: Redis): OwnRedis {
  return {
    redis: redis,
    connect: () => redis.connect(),
    onError(listener) {
      redis.on('error', listener);
      redis.on('ready', () => listener(undefined));
    },
    async quit() {
      if (redis.status === 'ready') await redis.quit();
    },
    disconnect: () => redis.disconnect()
  };
}
