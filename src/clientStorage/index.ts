import { ClientStorage } from './clientStorage.js';
import { openFromEnvironment } from './fromEnvironment.js';

export { ClientStorage } from './clientStorage.js';
export {
  FileStorageBackend,
  MemoryStorageBackend,
  PostgresStorageBackend,
  RedisStorageBackend,
  SqliteStorage
} from './storageBackends.js';
export type {
  FileStorageOptions,
  PostgresStorageOptions,
  RedisStorageOptions,
  SqliteStorageOptions,
  StorageLifetime
} from './storageBackends.js';
export { CLIENT_SESSION_TTL_SECONDS, createClientSessions } from '../clientSessions/clientSessions.js';
export type { ClientSessions, ClientSessionsOptions } from '../clientSessions/clientSessions.js';
export type { ClientSessionOAuthOptions } from '../clientSessions/oauthOptions.js';
export type { ClientSession, ClientSessionChanges, NewClientSession } from '../clientSessions/record.js';

/**
 * The storage that the environment names, opened by the first call: `MCP_TS_STORAGE_TYPE` (`redis`, `postgres` or
 * `postgresql`, `sqlite`, `file`, `memory`), else the first of `REDIS_URL`, `MCP_TS_STORAGE_FILE`,
 * `MCP_TS_STORAGE_SQLITE_PATH` and `DATABASE_URL` that is set, else memory. A storage that is named and cannot be used is
 * an error, never memory. An unused session lives for twelve hours.
 */
export const storage = new ClientStorage(openFromEnvironment);
