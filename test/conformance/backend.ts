import { Redis } from 'ioredis';
import {
  InMemoryEventStore,
  type McpHandlerOptions,
  migrate,
  PostgresEventStore,
  PostgresSessionStore,
  RedisEventStore,
  RedisSessionStore
} from 'mcp-sdk-anypod/server';
import { Pool } from 'pg';

/** The URL of the backend; without one, sessions live in this process. */
export interface AnypodOptions {
  redis?: string | undefined;
  keyPrefix?: string | undefined;
  postgres?: string | undefined;
}

export interface Backend {
  options: Pick<McpHandlerOptions, 'sessionStore' | 'eventStore'>;
  close: () => void | Promise<void>;
}

export async function openBackend({ redis: redisUrl, keyPrefix, postgres }: AnypodOptions): Promise<Backend> {
  if (redisUrl !== undefined) {
    const redis = new Redis(redisUrl);
    const sessionStore = new RedisSessionStore({ redis, keyPrefix });
    const eventStore = new RedisEventStore({ redis, keyPrefix });
    return { options: { sessionStore, eventStore }, close: () => redis.disconnect() };
  }
  if (postgres !== undefined) {
    const pool = new Pool({ connectionString: postgres });
    await migrate({ pool });
    const options = { sessionStore: new PostgresSessionStore({ pool }), eventStore: new PostgresEventStore({ pool }) };
    return { options, close: () => pool.end() };
  }
  return { options: { eventStore: new InMemoryEventStore() }, close: () => {} };
}
