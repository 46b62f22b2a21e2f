import { Redis } from 'ioredis';
import {
  createMcpHandler,
  InMemoryEventStore,
  type McpHandlerOptions,
  migrate,
  PostgresEventStore,
  PostgresSessionStore,
  RedisEventStore,
  RedisSessionStore
} from 'mcp-sdk-anypod/server';
import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import { Pool } from 'pg';
import type { Endpoint } from './endpoint.js';

/** The URL of the backend; without one, sessions live in this process. */
export interface AnypodOptions {
  redis?: string | undefined;
  keyPrefix?: string | undefined;
  postgres?: string | undefined;
}

interface Backend {
  options: McpHandlerOptions;
  close: () => void | Promise<void>;
}

/** This package's handler. */
export async function anypodEndpoint(createServer: () => McpServer, options: AnypodOptions): Promise<Endpoint> {
  const backend = await open(options);
  const handler = createMcpHandler(createServer, { ...backend.options, onerror: error => console.error(error) });
  return {
    handle: (req, res, body) => handler.node(req, res, body),
    async close() {
      await handler.close({ drainMs: 0 });
      await backend.close();
    }
  };
}

async function open({ redis: redisUrl, keyPrefix, postgres }: AnypodOptions): Promise<Backend> {
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
