import type * as ioredis from 'ioredis';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { withDeadline } from '../deadline.js';
import { BackendUnavailableError } from '../errors.js';
import { notServing, unreachable } from '../services/openRedis.js';
import { parseRedisUrl, type RedisAddress } from '../services/redisUrl.js';
import type { StorageOptions } from './storage.js';

/** A Redis that the command line names. */
export interface RedisTarget {
  readonly address: RedisAddress;
  /** For messages: without user and password. */
  readonly shown: string;
  readonly options: StorageOptions;
}

/** @throws InvalidOptionError */
export function redisTarget(options: StorageOptions): RedisTarget {
  const { address: url, by } = options.selection;
  const address = parseRedisUrl(by === 'MCP_TS_STORAGE_TYPE' ? 'REDIS_URL' : by, url);
  const shown = options.sentinel === undefined ? address.shown : `${options.sentinel} of the Sentinel ${address.shown}`;
  return { address, shown, options };
}

/**
 * A connection that fails at once instead of trying again. If the URL names a node of a Cluster, it is to this node.
 * @throws the client's error
 */
export async function connectNode(target: RedisTarget, node?: { host: string; port: number }): Promise<Redis> {
  const { Redis } = await loadIoredis();
  const { address, options } = target;
  const { access } = address;
  const own: RedisOptions = {
    lazyConnect: true,
    enableReadyCheck: false,
    ...timeouts(options),
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
    maxRetriesPerRequest: 0
  };
  const db = node ? 0 : address.db;
  const place: RedisOptions =
    options.sentinel === undefined || node
      ? { ...access, host: node?.host ?? address.host, port: node?.port ?? address.port, db }
      : { ...access, name: options.sentinel, sentinels: [{ host: address.host, port: address.port }], db };
  const redis = new Redis({ ...own, ...place });
  // The error of connect() only states that the connection is closed.
  let reason: Error | undefined;
  redis.on('error', error => (reason = error));
  try {
    await within(options.timeoutMs, async () => {
      await redis.connect();
      await redis.ping();
      // If this fails during connect, ioredis only logs it and continues with database 0.
      if (db) await redis.select(db);
    });
    return redis;
  } catch (error) {
    redis.disconnect();
    throw reason ?? error;
  }
}

/** A client of the whole Cluster. It is connected. @throws the client's error */
export async function connectCluster({ address, options }: RedisTarget): Promise<Cluster> {
  const { Cluster } = await loadIoredis();
  const { tls } = address.access;
  const cluster = new Cluster([{ host: address.host, port: address.port }], {
    lazyConnect: true,
    clusterRetryStrategy: () => null,
    slotsRefreshTimeout: options.timeoutMs,
    redisOptions: { ...address.access, ...timeouts(options) },
    // A certificate contains the host's name, not its address.
    ...(tls && { dnsLookup: (host: string, done: (error: null, found: string) => void) => done(null, host) })
  });
  let reason: (Error & { lastNodeError?: Error }) | undefined;
  cluster.on('error', (error: Error) => (reason = error));
  try {
    await within(options.timeoutMs, () => cluster.connect());
    return cluster;
  } catch (error) {
    cluster.disconnect();
    throw reason?.lastNodeError ?? reason ?? error;
  }
}

/** The client for the package's classes: of the Cluster if the node belongs to one. @throws BackendUnavailableError */
export async function connectRedis(target: RedisTarget): Promise<Redis | Cluster> {
  let node: Redis;
  try {
    node = await connectNode(target);
  } catch (error) {
    throw unreachable({ ...target.address, shown: target.shown }, error as Error);
  }
  // A user may not have the right to ask. Then a single server is assumed.
  const isCluster = /^cluster_enabled:1/m.test(await node.info('cluster').catch(() => ''));
  if (!isCluster) return node;
  node.disconnect();
  try {
    return await connectCluster(target);
  } catch (error) {
    throw notServing(target.shown, error as Error);
  }
}

/** ioredis, else iovalkey, which has the same interface. @throws BackendUnavailableError */
async function loadIoredis(): Promise<Pick<typeof ioredis, 'Redis' | 'Cluster'>> {
  try {
    return await import('ioredis');
  } catch (error) {
    absent(error);
  }
  try {
    return (await import('iovalkey')) as never;
  } catch (error) {
    absent(error);
  }
  throw new BackendUnavailableError(
    'This program needs ioredis: npm install ioredis, or npx -p mcp-sdk-anypod -p ioredis mcp-sdk-anypod'
  );
}

function absent(error: unknown): void {
  const { code } = error as { code?: string };
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
}

function timeouts({ timeoutMs }: StorageOptions): RedisOptions {
  return { connectTimeout: timeoutMs, commandTimeout: timeoutMs, socketTimeout: timeoutMs };
}

function within<T>(timeoutMs: number, run: () => Promise<T>): Promise<T> {
  const onLate = (): Error => Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' });
  return withDeadline(run, timeoutMs, onLate);
}
