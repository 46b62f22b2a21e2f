import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { BackendUnavailableError } from '../errors.js';
import type { EventStore } from '../sdkTypes.js';
import { FileSessionStore } from '../backends/file/sessionStore.js';
import { STORE_MARKER } from '../backends/file/storeDirectory.js';
import { PostgresEventStore } from '../backends/postgres/eventStore.js';
import { PostgresSessionBus } from '../backends/postgres/sessionBus.js';
import { PostgresSessionStore } from '../backends/postgres/sessionStore.js';
import { RedisEventStore } from '../backends/redis/eventStore.js';
import { RedisSessionBus } from '../backends/redis/sessionBus.js';
import { RedisSessionStore } from '../backends/redis/sessionStore.js';
import type { SessionBus } from '../ports/sessionBus.js';
import type { SessionStore } from '../ports/sessionStore.js';
import { connectTables, postgresTarget } from './postgresConnection.js';
import { connectRedis, redisTarget } from './redisConnection.js';
import type { StorageOptions } from './storage.js';

/** The backend of the pods, opened for a command. Nothing is created in it. */
export interface OpenedStorage {
  /** For messages: without user and password. */
  readonly shown: string;
  readonly store: SessionStore;
  readonly eventStore: EventStore | undefined;
  /** Undefined for files, which have none. */
  readonly bus: SessionBus | undefined;
  close(): Promise<void>;
}

/** @throws BackendUnavailableError, InvalidOptionError */
export async function openStorage(options: StorageOptions): Promise<OpenedStorage> {
  const { selection, ttlSeconds } = options;
  if (selection.type === 'redis') return openRedis(options);
  if (selection.type === 'postgres') return openPostgres(options);
  const path = resolve(selection.address);
  const isStore = await stat(`${path}/${STORE_MARKER}`).then(
    () => true,
    () => false
  );
  if (!isStore) {
    throw new BackendUnavailableError(`${path} is not a directory of sessions: name the one that the pods use`);
  }
  const store = new FileSessionStore({ path, ttlSeconds });
  return { shown: `files in ${path}`, store, eventStore: undefined, bus: undefined, close: () => store.close() };
}

async function openRedis(options: StorageOptions): Promise<OpenedStorage> {
  const target = redisTarget(options);
  const redis = await connectRedis(target);
  // The next call reports the outage.
  redis.on('error', () => {});
  const { prefix: keyPrefix, ttlSeconds } = options;
  const bus = new RedisSessionBus({ redis, keyPrefix });
  return {
    shown: `Redis at ${target.shown}`,
    store: new RedisSessionStore({ redis, keyPrefix, ttlSeconds }),
    eventStore: new RedisEventStore({ redis, keyPrefix }),
    bus,
    async close() {
      await bus.close();
      redis.disconnect();
    }
  };
}

async function openPostgres(options: StorageOptions): Promise<OpenedStorage> {
  const target = postgresTarget(options);
  const pool = await connectTables(target);
  const { schema, table, ttlSeconds } = options;
  const bus = new PostgresSessionBus({ pool, schema, table });
  return {
    shown: `Postgres at ${target.shown}`,
    store: new PostgresSessionStore({ pool, schema, table, ttlSeconds }),
    eventStore: new PostgresEventStore({ pool, schema }),
    bus,
    async close() {
      await bus.close();
      await pool.end();
    }
  };
}
