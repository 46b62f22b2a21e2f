import { ClientSessionStore } from '../clientSessions/clientSessionStore.js';
import { CLIENT_SESSION_TTL_SECONDS } from '../clientSessions/clientSessions.js';
import { InvalidOptionError } from '../errors.js';
import type { RedisClient } from '../backends/redis/client.js';
import type { NodeRedisClient } from '../backends/redis/nodeRedis.js';
import { RedisSessionStore } from '../backends/redis/sessionStore.js';
import type { PostgresPool } from '../backends/postgres/client.js';
import { migrate } from '../backends/postgres/migrate.js';
import { PostgresSessionStore } from '../backends/postgres/sessionStore.js';
import type { SessionStore } from '../ports/sessionStore.js';
import { checkNumber, checkOptionsObject, checkString, kindOf } from '../validate.js';
import { ClientStorage } from './clientStorage.js';
import { JsonFileSessions } from './jsonFile.js';
import { SqliteSessions } from './sqlite.js';
import { MemorySessions } from './table.js';

/** The option that all storages have. */
export interface StorageLifetime {
  /** Seconds that a session lives without use. @default 43200, which is twelve hours */
  ttlSeconds?: number;
}

/** The options of a {@link RedisStorageBackend}. */
export interface RedisStorageOptions extends StorageLifetime {
  /** The prefix of every key. @default 'mcp:client:' */
  prefix?: string;
}

/** The options of a {@link FileStorageBackend}. */
export interface FileStorageOptions extends StorageLifetime {
  /** The JSON file. @default './sessions.json' */
  path?: string;
}

/** The options of a {@link SqliteStorage}. */
export interface SqliteStorageOptions extends StorageLifetime {
  /** The database file. @default './sessions.db' */
  path?: string;
  /** The table. @default 'mcp_sessions' */
  table?: string;
}

/** The options of a {@link PostgresStorageBackend}. */
export interface PostgresStorageOptions extends StorageLifetime {
  /** The schema. @default 'anypod' */
  schema?: string;
  /** The table. @default 'mcp_client_session' */
  table?: string;
}

export const CLIENT_KEY_PREFIX = 'mcp:client:';
export const CLIENT_TABLE = 'mcp_client_session';
const STORE_TIMEOUT_MS = 2000;

/** Client sessions in a session store whose records are separate from those of MCP servers. */
export function sessionsIn(store: SessionStore): ClientSessionStore {
  return new ClientSessionStore(store, STORE_TIMEOUT_MS);
}

/** Client sessions in Redis, for any number of pods. */
export class RedisStorageBackend extends ClientStorage {
  /**
   * @param redis - a client of ioredis, iovalkey or node-redis. You close it
   * @throws InvalidOptionError
   */
  constructor(redis: RedisClient | NodeRedisClient, options: RedisStorageOptions = {}) {
    const { prefix = CLIENT_KEY_PREFIX, ttlSeconds } = checked(options);
    const store = new RedisSessionStore({ redis, keyPrefix: prefix, ttlSeconds });
    super(async () => ({ backend: sessionsIn(store) }));
  }
}

/** Client sessions in Postgres, for any number of pods. `init` creates the table. */
export class PostgresStorageBackend extends ClientStorage {
  /**
   * @param pool - a `Pool` of `pg`. You end it
   * @throws InvalidOptionError
   */
  constructor(pool: PostgresPool, options: PostgresStorageOptions = {}) {
    const { ttlSeconds, schema, table = CLIENT_TABLE } = checked(options);
    const store = new PostgresSessionStore({ pool, ttlSeconds, schema, table });
    super(async () => {
      await migrate({ pool, schema, table });
      return { backend: sessionsIn(store) };
    });
  }
}

/** Client sessions in the memory of this process. */
export class MemoryStorageBackend extends ClientStorage {
  /** @throws InvalidOptionError */
  constructor(options: StorageLifetime = {}) {
    const backend = new MemorySessions(checked(options).ttlSeconds);
    super(async () => ({ backend }));
  }
}

/** Client sessions in one readable JSON file, for processes of one host. `init` creates it. */
export class FileStorageBackend extends ClientStorage {
  /** @throws InvalidOptionError */
  constructor(options: FileStorageOptions = {}) {
    const { ttlSeconds, path = './sessions.json' } = checked(options);
    checkPath(path);
    super(async () => ({ backend: await JsonFileSessions.open(path, ttlSeconds) }));
  }
}

/** Client sessions in SQLite, by Node's own module (Node 22.13 or later), for processes of one host. */
export class SqliteStorage extends ClientStorage {
  /** @throws InvalidOptionError */
  constructor(options: SqliteStorageOptions = {}) {
    const { ttlSeconds, path = './sessions.db', table = 'mcp_sessions' } = checked(options);
    checkPath(path);
    super(async () => ({ backend: await SqliteSessions.open(path, table, ttlSeconds) }));
  }
}

function checked<T extends StorageLifetime>(options: T): T & { ttlSeconds: number } {
  checkOptionsObject('options', options);
  const { prefix, path, table } = options as { prefix?: unknown; path?: unknown; table?: unknown };
  for (const [name, value] of Object.entries({ prefix, path, table })) checkString(name, value);
  checkNumber('ttlSeconds', options.ttlSeconds, { min: 1, max: 1_000_000_000, integer: true });
  return { ...options, ttlSeconds: options.ttlSeconds ?? CLIENT_SESSION_TTL_SECONDS };
}

function checkPath(path: string): void {
  if (path === '' || path.includes('\0')) throw new InvalidOptionError('path', kindOf(path), 'the path of a file');
}
