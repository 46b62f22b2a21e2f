import { InMemorySessionStore } from '../backends/memory/sessionStore.js';
import { type Compartment, DEFAULT_LOCK_TIMEOUT_MS, openStore } from '../services/sessionServices.js';
import { checkServicesOptions, type SessionServicesOptions } from '../services/options.js';
import { checkBoolean, checkMethods, checkOptionsObject } from '../validate.js';
import { type ApplicationSessionStore, StoredApplicationData } from './applicationStore.js';

export { isRedisAvailable } from '../services/openRedis.js';
export type { ApplicationSessionStore } from './applicationStore.js';
export type { SessionServicesOptions as SessionStoreOptions, StorageType } from '../services/options.js';

const APPLICATION_DATA: Compartment = { keySuffix: 'data:', table: 'mcp_session_data', pathSuffix: '-data' };

/**
 * Opens a store for data of the application on the backend that options and environment name, as
 * `createSessionServices` selects it: without any of them a Redis at redis://localhost:6379 if one answers, else memory.
 *
 * - If no server answers at `redisUrl`, or at the default address, the data is kept in memory, with a warning. With
 *   `NODE_ENV=production`, or if the environment names the backend, this is an error instead.
 * - `verbose` writes which backend is used to standard error.
 * @throws BackendUnavailableError, InvalidOptionError
 */
export async function createSessionStore(options: SessionServicesOptions = {}): Promise<ApplicationSessionStore> {
  const store = await openStore(options, APPLICATION_DATA);
  const { storage, lockTimeoutMs } = store;
  // In Redis the prefix is in front of the key. Other backends have one place for all applications.
  const idPrefix = storage === 'redis' ? '' : encodeURIComponent(options.prefix ?? '');
  return new StoredApplicationData(store, { storage, lockTimeoutMs, idPrefix, close: () => store.close() });
}

/** A store in the memory of this process. @throws InvalidOptionError */
export function createMemorySessionStore(
  options: Pick<SessionServicesOptions, 'prefix' | 'defaultTtl' | 'lockTimeout'> = {}
): ApplicationSessionStore {
  checkServicesOptions(options);
  const store = new InMemorySessionStore({ ttlSeconds: options.defaultTtl });
  return new StoredApplicationData(store, {
    storage: 'memory',
    lockTimeoutMs: options.lockTimeout ?? DEFAULT_LOCK_TIMEOUT_MS,
    close: async () => {},
    idPrefix: encodeURIComponent(options.prefix ?? '')
  });
}

/** The options of {@link registerRedisBackedServices}. */
export interface RedisBackedServicesOptions {
  /** As for {@link createSessionStore}. */
  redisUrl?: string | undefined;
  /** The prefix of every key. @default 'mcp:session:' */
  prefix?: string | undefined;
  /** Seconds that a value lives. @default 3600 */
  defaultTtl?: number | undefined;
  /** Keeps the data in the memory of this process. @default false */
  forceMemorySessionStore?: boolean | undefined;
  /** As for {@link createSessionStore}. @default false */
  verbose?: boolean | undefined;
}

/** What {@link registerRedisBackedServices} returns. */
export interface RedisBackedServices {
  /** For the tools of the server. Its `disconnect` closes it for all servers of this process. */
  readonly sessionStore: ApplicationSessionStore;
}

/** The stores of this process, by the options. */
const shared = new Map<string, Promise<ApplicationSessionStore>>();

/**
 * Opens the store of the application's data for a server's tools. Servers with the same options share one store and its
 * connection, so this may be called for the server of each session. The server itself is not changed.
 * @throws BackendUnavailableError, InvalidOptionError
 */
export async function registerRedisBackedServices(
  server: object,
  options: RedisBackedServicesOptions = {}
): Promise<RedisBackedServices> {
  checkMethods('server', server, ['connect', 'close'], 'a server: McpServer or Server');
  checkOptionsObject('options', options);
  const { redisUrl, prefix, defaultTtl, forceMemorySessionStore, verbose } = options;
  checkBoolean('forceMemorySessionStore', forceMemorySessionStore);
  const key = JSON.stringify([redisUrl, prefix, defaultTtl, forceMemorySessionStore]);
  const storeOptions = { redisUrl, prefix, defaultTtl, verbose, preferMemory: forceMemorySessionStore };
  return { sessionStore: await (shared.get(key) ?? open(key, storeOptions)) };
}

function open(key: string, options: SessionServicesOptions): Promise<ApplicationSessionStore> {
  const opening = createSessionStore(options).then(store => {
    const disconnect = store.disconnect.bind(store);
    const forget = (): Promise<void> => {
      shared.delete(key);
      return disconnect();
    };
    return Object.assign(store, { disconnect: forget });
  });
  shared.set(key, opening);
  // The cause may be fixed while this process runs.
  opening.catch(() => shared.delete(key));
  return opening;
}
