import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { BackendUnavailableError, InvalidOptionError } from '../errors.js';
import { RedisEventStore } from '../backends/redis/eventStore.js';
import { RedisSessionBus } from '../backends/redis/sessionBus.js';
import { RedisSessionStore } from '../backends/redis/sessionStore.js';
import { RedisTaskMessageQueue } from '../backends/redis/taskMessageQueue.js';
import { RedisTaskStore } from '../backends/redis/taskStore.js';
import { checkNumber, checkOptionsObject, checkString } from '../validate.js';
import { type Backend, loaded } from './backend.js';
import type { BackendOptions, Log } from './options.js';
import { notEncoded, parseUrl } from './backendUrl.js';
import { clearTimeout, setTimeout } from '../timers.js';

const DEFAULT_TIMEOUT_MS = 2000;
/** A connection that does not answer a command within this time is replaced: it may have died without a reset. */
const SOCKET_TIMEOUT_MS = 5000;
/** How long closing the connection may take. */
const QUIT_MS = 1000;
/** The codes of errors for an unreachable Redis. Any other error means that Redis refuses the connection. */
const UNREACHABLE = /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT)$/;

/**
 * Keeps everything in one Redis, with its own `ioredis` client. If the URL names a node of a Cluster, it is a Cluster
 * client.
 * @throws BackendUnavailableError, InvalidOptionError
 */
export async function openRedis(url: string, by: string, options: BackendOptions): Promise<Backend> {
  const address = parseRedisUrl(by, url);
  const ioredis = await loadIoredis();
  const isCluster = await probe(ioredis, address, options.connectTimeoutMs);
  const own = { lazyConnect: true, enableAutoPipelining: true };
  const redis = isCluster
    ? new ioredis.Cluster([{ host: address.host, port: address.port }], {
        ...own,
        redisOptions: { ...address.access, socketTimeout: SOCKET_TIMEOUT_MS },
        // A certificate contains the host's name, not its address.
        ...(address.access.tls && {
          dnsLookup: (host: string, done: (error: null, found: string) => void) => done(null, host)
        })
      })
    : new ioredis.Redis({ ...own, ...address.single, socketTimeout: SOCKET_TIMEOUT_MS });
  reportErrors(redis as Redis, options.onLog);
  try {
    await redis.connect();
  } catch (error) {
    redis.disconnect();
    throw unreachable(address, error as Error);
  }
  const { keyPrefix, ttlSeconds, onLog } = options;
  return {
    sessionStore: new RedisSessionStore({ redis, keyPrefix, ttlSeconds, onLog }),
    sessionBus: new RedisSessionBus({ redis, keyPrefix, onLog }),
    eventStore: new RedisEventStore({ redis, keyPrefix, ttlSeconds }),
    taskStore: new RedisTaskStore({ redis, keyPrefix }),
    taskMessageQueue: new RedisTaskMessageQueue({ redis, keyPrefix, onLog }),
    close: () => quit(redis as Redis)
  };
}

/**
 * Whether a Redis answers PING at the URL, accepts the URL's user, and has the database.
 * @throws BackendUnavailableError if `ioredis` is not installed, InvalidOptionError if it is not a Redis URL
 */
export async function isRedisAvailable(url: string, options: { timeoutMs?: number } = {}): Promise<boolean> {
  checkOptionsObject('options', options);
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  checkNumber('timeoutMs', timeoutMs, { min: 1 });
  const address = parseRedisUrl('url', url);
  const ioredis = await loadIoredis();
  return probe(ioredis, address, timeoutMs).then(
    () => true,
    () => false
  );
}

interface Address {
  host: string;
  port: number;
  /** For messages: without user and password. */
  shown: string;
  access: RedisOptions;
  single: RedisOptions;
}

const FORM = 'redis://host:port/db or rediss://host:port/db, with user:password@ if needed';
/** The allowed query parameters, as in ioredis. */
const QUERY = /^(db=\d+|family=[046])$/;

function parseRedisUrl(option: string, text: string): Address {
  checkString(option, text);
  const url = parseUrl(
    option,
    text,
    FORM,
    ({ protocol, hostname, pathname }) => /^rediss?:$/.test(protocol) && hostname !== '' && /^\/?\d*$/.test(pathname)
  );
  checkQuery(option, url);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = Number(url.port || 6379);
  const access: RedisOptions = {};
  try {
    if (url.username) access.username = decodeURIComponent(url.username);
    if (url.password) access.password = decodeURIComponent(url.password);
  } catch {
    throw notEncoded(option, FORM);
  }
  // The nodes of a Cluster may return addresses. The certificate still belongs to the name, if there is one.
  if (url.protocol === 'rediss:') access.tls = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
  const family = url.searchParams.get('family');
  if (family !== null) access.family = Number(family);
  const db = Number(url.pathname.slice(1) || url.searchParams.get('db'));
  const shown = `${url.protocol}//${url.hostname}:${port}`;
  return { host, port, shown, access, single: { host, port, db, ...access } };
}

/** Refuses other queries: a password with a ? in it, or an option of ioredis, would be ignored silently. */
function checkQuery(option: string, { search, searchParams }: URL): void {
  if (search.includes('@')) throw notEncoded(option, FORM);
  for (const [name, value] of searchParams) {
    if (QUERY.test(`${name}=${value}`)) continue;
    throw new InvalidOptionError(option, `a URL with a query for ${name}`, 'only db=number and family=0, 4 or 6');
  }
}

interface Ioredis {
  Redis: typeof Redis;
  Cluster: typeof Cluster;
}

async function loadIoredis(): Promise<Ioredis> {
  try {
    return loaded(await import('ioredis'), 'ioredis', 'Redis');
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    throw new BackendUnavailableError('The package ioredis is not installed: npm install ioredis', { cause: error });
  }
}

/** @returns whether the server is a node of a Cluster. @throws BackendUnavailableError */
async function probe({ Redis }: Ioredis, address: Address, timeoutMs: number): Promise<boolean> {
  const options = { lazyConnect: true, connectTimeout: timeoutMs, retryStrategy: () => null, maxRetriesPerRequest: 0 };
  const redis = new Redis({ ...address.single, ...options });
  // The error of connect() only states that the connection is closed.
  let reason: Error | undefined;
  redis.on('error', error => (reason = error));
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' });
    timer = setTimeout(() => reject(error), timeoutMs);
  });
  const ask = async (): Promise<boolean> => {
    await redis.connect();
    await redis.ping();
    // If this fails during connect, ioredis only logs it and continues with database 0.
    if (address.single.db) await redis.select(address.single.db);
    // An ACL user may not have the right to ask. Then a single server is assumed, the most common case.
    return /^cluster_enabled:1/m.test(await redis.info('cluster').catch(() => ''));
  };
  try {
    return await Promise.race([ask(), late]);
  } catch (error) {
    throw unreachable(address, reason ?? (error as Error));
  } finally {
    clearTimeout(timer);
    redis.disconnect();
  }
}

/**
 * The client's errors if it connects without TLS to a port that expects TLS: it gets a TLS alert, or the connection
 * closes.
 */
const TLS_ANSWER = /Protocol error|ECONNRESET|EPIPE|Connection is closed/;

function unreachable({ shown }: Address, error: Error & { code?: string; errors?: Error[] }): BackendUnavailableError {
  // An error about several addresses has its texts in `errors`.
  const text = error.message || error.errors?.map(({ message }) => message).join(', ');
  const hint =
    shown.startsWith('redis:') && TLS_ANSWER.test(text ?? '')
      ? '. If it expects TLS, its URL begins with rediss://'
      : '';
  // No `cause`: ioredis adds the command to its errors, and it contains the password.
  if (error.code !== undefined && UNREACHABLE.test(error.code)) {
    return new BackendUnavailableError(
      `No Redis answers at ${shown} (${text}): start one, or set REDIS_URL to its address${hint}`,
      { unreachable: true }
    );
  }
  return new BackendUnavailableError(
    `Redis at ${shown} refuses the connection (${text}): check user, password, database and TLS in its URL${hint}`
  );
}

/** Logs each outage once, not each attempt to connect. */
function reportErrors(redis: Redis, onLog: Log): void {
  let told: string | undefined;
  redis.on('error', error => {
    if (error.message === told) return;
    told = error.message;
    onLog('warn', `Redis: ${told}`);
  });
  redis.on('ready', () => (told = undefined));
}

/** Waits for commands under way, if the server answers. */
async function quit(redis: Redis): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  if (redis.status === 'ready') {
    const late = new Promise(resolve => (timer = setTimeout(resolve, QUIT_MS)));
    await Promise.race([redis.quit().catch(() => {}), late]);
    clearTimeout(timer);
  }
  redis.disconnect();
}
