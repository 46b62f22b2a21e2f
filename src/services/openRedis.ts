import { withDeadline } from '../deadline.js';
import { BackendUnavailableError } from '../errors.js';
import { RedisEventStore } from '../backends/redis/eventStore.js';
import { RedisSessionBus } from '../backends/redis/sessionBus.js';
import { RedisSessionStore } from '../backends/redis/sessionStore.js';
import { checkNumber, checkOptionsObject } from '../validate.js';
import type { Backend } from './backend.js';
import { type BackendOptions, environmentOf, type Log } from './options.js';
import { loadRedisLibrary } from './loadRedisLibrary.js';
import { redisTasks } from './openTasks.js';
import type { ConnectedRedis, OwnRedis, RedisLibrary } from './redisLibrary.js';
import { parseRedisUrl, type RedisAddress } from './redisUrl.js';
import { clearTimeout, setTimeout } from '../timers.js';

export const DEFAULT_REDIS_URL = 'redis://localhost:6379';
const DEFAULT_TIMEOUT_MS = 2000;
/** A connection reports its own timeout in other words than this package, so it comes later. */
const PROBE_GRACE_MS = 1000;
/** How long closing the connection may take. */
const QUIT_MS = 1000;
/** The codes of errors for an unreachable Redis. Any other error means that Redis refuses the connection. */
const UNREACHABLE = /^(ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOENT)$/;

/**
 * Keeps everything in one Redis, with a client of the library that is installed. If the URL names a node of a Cluster,
 * it is a Cluster client.
 * @throws BackendUnavailableError, InvalidOptionError
 */
export async function openRedis(url: string, by: string, options: BackendOptions): Promise<Backend> {
  const { redis, close } = await connectRedis(url, by, options);
  const { keyPrefix, ttlSeconds, onLog } = options;
  return {
    sessionStore: new RedisSessionStore({ redis, keyPrefix, ttlSeconds, onLog }),
    sessionBus: new RedisSessionBus({ redis, keyPrefix, onLog }),
    eventStore: new RedisEventStore({ redis, keyPrefix, ttlSeconds }),
    ...redisTasks({ redis, keyPrefix, onLog }),
    close
  };
}

/**
 * Connects to the Redis at the URL.
 * @param by - the option or variable that has the URL, for messages
 * @throws BackendUnavailableError, InvalidOptionError
 */
async function connectRedis(
  url: string,
  by: string,
  { connectTimeoutMs, onLog }: Pick<BackendOptions, 'connectTimeoutMs' | 'onLog'>
): Promise<{ redis: ConnectedRedis; close: () => Promise<void> }> {
  const address = parseRedisUrl(by, url);
  const library = await loadRedisLibrary();
  const isOfCluster = await isCluster(library, address, connectTimeoutMs);
  const client = library.client(address, isOfCluster);
  reportErrors(client, onLog);
  try {
    // The client of a Cluster that serves no commands tries again without end.
    await withDeadline(
      () => client.connect(),
      connectTimeoutMs,
      () => noAnswer(connectTimeoutMs)
    );
  } catch (error) {
    client.disconnect();
    throw isOfCluster ? notServing(address.shown, error as Error) : unreachable(address, error as Error);
  }
  return { redis: client.redis, close: () => quit(client) };
}

/**
 * Whether a Redis answers PING at the URL, accepts the URL's user, and has the database.
 * @param url - by default `REDIS_URL` of the environment, or 'redis://localhost:6379'
 * @param options - `timeoutMs`: how long to wait for an answer, in milliseconds, by default 2000
 * @throws BackendUnavailableError if no client for Redis is installed, InvalidOptionError if it is not a Redis URL
 */
export async function isRedisAvailable(
  url: string = environmentOf({}).REDIS_URL || DEFAULT_REDIS_URL,
  options: { timeoutMs?: number } = {}
): Promise<boolean> {
  checkOptionsObject('options', options);
  const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  checkNumber('timeoutMs', timeoutMs, { min: 1 });
  const address = parseRedisUrl('url', url);
  return isCluster(await loadRedisLibrary(), address, timeoutMs).then(
    () => true,
    () => false
  );
}

/** @returns whether the server is a node of a Cluster. @throws BackendUnavailableError */
async function isCluster(library: RedisLibrary, address: RedisAddress, timeoutMs: number): Promise<boolean> {
  const probe = library.probe(address, timeoutMs + PROBE_GRACE_MS);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(noAnswer(timeoutMs)), timeoutMs);
  });
  try {
    const asked = probe.ask();
    // An ACL user may not have the right to ask. Then a single server is assumed, the most common case.
    return /^cluster_enabled:1/m.test(await Promise.race([asked, late]));
  } catch (error) {
    throw unreachable(address, probe.reason() ?? (error as Error));
  } finally {
    clearTimeout(timer);
    probe.end();
  }
}

function noAnswer(timeoutMs: number): Error {
  return Object.assign(new Error(`no answer within ${timeoutMs} ms`), { code: 'ETIMEDOUT' });
}

/**
 * The client's errors if it connects without TLS to a port that expects TLS: it gets a TLS alert, or the connection
 * closes.
 */
const TLS_ANSWER = /Protocol error|ECONNRESET|EPIPE|Connection is closed|Socket closed unexpectedly/;

/** What is wrong with a Redis that does not answer or refuses, and what to do. */
export function unreachable(
  { shown }: RedisAddress,
  error: Error & { code?: string; errors?: Error[] }
): BackendUnavailableError {
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

/** A node of the Cluster has answered, but a client of the whole Cluster cannot be used. */
export function notServing(shown: string, { message }: Error): BackendUnavailableError {
  return new BackendUnavailableError(
    `The Redis Cluster at ${shown} does not serve, or not all of its nodes can be reached (${message}): npx mcp-sdk-anypod doctor says why`
  );
}

/** Logs each outage once, not each attempt to connect. */
function reportErrors(client: OwnRedis, onLog: Log): void {
  let reported: string | undefined;
  client.onError(error => {
    if (error?.message === reported) return;
    reported = error?.message;
    if (error) onLog('warn', `Redis: ${error.message}`);
  });
}

/** Waits for commands under way, if the server answers. */
async function quit(client: OwnRedis): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise(resolve => (timer = setTimeout(resolve, QUIT_MS)));
  await Promise.race([client.quit().catch(() => {}), late]);
  clearTimeout(timer);
  client.disconnect();
}
