import { BackendUnavailableError } from '../errors.js';
import { DEFAULT_KEY_PREFIX } from '../backends/redis/keys.js';
import { InMemorySessionStore } from '../backends/memory/sessionStore.js';
import type { SessionStore } from '../ports/sessionStore.js';
import type { Backend } from './backend.js';
import { openFile } from './openFile.js';
import { openMemory } from './openMemory.js';
import {
  type BackendOptions,
  checkServicesOptions,
  environmentOf,
  logOf,
  type SessionServicesOptions,
  type StorageType
} from './options.js';
import { openPostgres } from './openPostgres.js';
import { openRedis } from './openRedis.js';
import { type Selection, selectStorage } from './selectStorage.js';

/** All parts that keep sessions, in one backend. Spread it into the options of `createMcpHandler`. */
export interface SessionServices extends Backend {
  /** The type of the backend. */
  readonly storage: StorageType;
  /** The option `lockTimeout`. */
  readonly lockTimeoutMs: number;
  /** Closes all parts, and the connections that were opened for them. May be called twice. */
  readonly close: () => Promise<void>;
}

/** A store that owns its connection. */
export type OwningSessionStore = SessionStore &
  Pick<SessionServices, 'storage' | 'lockTimeoutMs'> & {
    /** Closes the store, its bus, and the connection that was opened for it. May be called twice. */
    readonly close: () => Promise<void>;
  };

export const DEFAULT_LOCK_TIMEOUT_MS = 30_000;
const DEFAULT_CONNECT_TIMEOUT_MS = 2000;

/**
 * Opens the backend that options and environment name, in this order: `preferMemory`; `MCP_TS_STORAGE_TYPE` (`redis`,
 * `postgres`, `file`, `memory`); the option `redisUrl`; `REDIS_URL`; `DATABASE_URL`; `MCP_TS_STORAGE_FILE`; the default
 * Redis, if it answers; memory.
 *
 * If the environment names a backend that cannot be used, it throws. If only `redisUrl` or the default selects Redis
 * and it does not answer, sessions are kept in memory, with a warning. With `NODE_ENV=production` this also throws:
 * pods that each keep their own sessions lose them all the time. `fallback: 'memory'` uses memory in all these cases.
 * @throws BackendUnavailableError, InvalidOptionError
 */
export function createSessionServices(options: SessionServicesOptions = {}): ToAwait<SessionServices> {
  return toAwait(openServices(options));
}

/** Where a backend keeps data that must be separate from the sessions of the transport. */
export interface Compartment {
  /** Follows the prefix of keys in Redis. */
  readonly keySuffix: string;
  /** The table in Postgres. */
  readonly table: string;
  /** Follows the path of the directory of files. */
  readonly pathSuffix: string;
}

async function openServices(options: SessionServicesOptions, compartment?: Compartment): Promise<SessionServices> {
  checkServicesOptions(options);
  const selection = selectStorage(options);
  const onLog = logOf(options);
  const backendOptions: BackendOptions = {
    keyPrefix: compartment ? `${options.prefix ?? DEFAULT_KEY_PREFIX}${compartment.keySuffix}` : options.prefix,
    table: compartment?.table,
    ttlSeconds: options.defaultTtl,
    connectTimeoutMs: options.connectTimeout ?? DEFAULT_CONNECT_TIMEOUT_MS,
    onLog
  };
  let storage = selection.type;
  let backend: Backend;
  try {
    backend = await open(selection, backendOptions, compartment);
    onLog('info', `sessions are kept in ${storage} (${selection.by})`);
  } catch (error) {
    if (!(error instanceof BackendUnavailableError)) throw error;
    checkFallback(error, selection, options);
    onLog('warn', `${error.message}. Sessions are kept in the memory of this process only.`);
    storage = 'memory';
    backend = await openMemory(backendOptions);
  }
  return {
    ...backend,
    storage,
    lockTimeoutMs: options.lockTimeout ?? DEFAULT_LOCK_TIMEOUT_MS,
    close: closeOnce(backend)
  };
}

/**
 * Opens only the session store and its bus. Selects the backend as {@link createSessionServices} does.
 * @throws BackendUnavailableError, InvalidOptionError
 */
export function createSessionStore(options: SessionServicesOptions = {}): ToAwait<OwningSessionStore> {
  return toAwait(openStore(options));
}

/**
 * Opens a store for other data than the sessions of the transport, on the backend that {@link createSessionServices}
 * would select.
 * @throws BackendUnavailableError, InvalidOptionError
 */
export async function openStore(
  options: SessionServicesOptions,
  compartment?: Compartment
): Promise<OwningSessionStore> {
  const { sessionStore, storage, lockTimeoutMs, close } = await openServices(options, compartment);
  return Object.assign(sessionStore, { storage, lockTimeoutMs, close });
}

/**
 * A promise that detects a missing `await`. If a plain promise were spread into options, they would stay empty, and
 * sessions would silently be kept in memory.
 */
type ToAwait<T> = Promise<T> & {
  /** The promise itself. The compiler and the option check refuse it. */
  readonly sessionStore: Promise<T>;
};

function toAwait<T>(promise: Promise<T>): ToAwait<T> {
  return Object.assign(promise, { sessionStore: promise });
}

/** A store in the memory of this process. @throws InvalidOptionError */
export function createMemorySessionStore(
  options: Pick<SessionServicesOptions, 'defaultTtl' | 'lockTimeout'> = {}
): InMemorySessionStore & {
  /** The option `lockTimeout`. */
  readonly lockTimeoutMs: number;
} {
  checkServicesOptions(options);
  const store = new InMemorySessionStore({ ttlSeconds: options.defaultTtl });
  return Object.assign(store, { lockTimeoutMs: options.lockTimeout ?? DEFAULT_LOCK_TIMEOUT_MS });
}

function open(
  { type, address, by }: Selection,
  options: BackendOptions,
  compartment: Compartment | undefined
): Promise<Backend> {
  switch (type) {
    case 'redis':
      return openRedis(address, by === 'MCP_TS_STORAGE_TYPE' ? 'REDIS_URL' : by, options);
    case 'postgres':
      return openPostgres(address, options);
    case 'file':
      return openFile(`${address}${compartment?.pathSuffix ?? ''}`, options);
    case 'memory':
      return openMemory(options);
  }
}

/** @throws the error, extended by the reason why memory is not used */
function checkFallback(error: BackendUnavailableError, selection: Selection, options: SessionServicesOptions): void {
  if (options.fallback === 'memory') return;
  if (selection.named) throw withReason(error, `${selection.by} requires it`);
  if (environmentOf(options).NODE_ENV === 'production') throw withReason(error, 'NODE_ENV is production');
  // If Redis refuses the connection, or a required package is not installed, the configuration must be corrected.
  if (!error.unreachable && selection.by !== 'default') throw error;
}

function withReason(error: BackendUnavailableError, reason: string): BackendUnavailableError {
  const advice = `${reason}, so sessions are kept in memory instead only with fallback: 'memory'`;
  return new BackendUnavailableError(`${error.message}; ${advice}`, {
    cause: error.cause,
    unreachable: error.unreachable
  });
}

function closeOnce(backend: Backend): () => Promise<void> {
  // Saved now, because createSessionStore replaces `close` of the store.
  const closeStore = backend.sessionStore.close?.bind(backend.sessionStore);
  let closed: Promise<void> | undefined;
  return () =>
    (closed ??= (async () => {
      await backend.sessionBus.close();
      await closeStore?.();
      await backend.close();
    })());
}
