import { Redis } from 'ioredis';
import { createMcpHandler, InMemoryEventStore, RedisEventStore, RedisSessionStore } from 'mcp-sdk-anypod/server';
import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import type { Endpoint } from './endpoint.js';

export interface AnypodOptions {
  mode: 'memory' | 'external';
  redisUrl: string;
  keyPrefix?: string;
}

/** This package's handler, with sessions in this process or in Redis. */
export function anypodEndpoint(createServer: () => McpServer, options: AnypodOptions): Endpoint {
  const { keyPrefix } = options;
  const redis = options.mode === 'external' ? new Redis(options.redisUrl) : undefined;
  const handler = createMcpHandler(createServer, {
    eventStore: redis ? new RedisEventStore({ redis, keyPrefix }) : new InMemoryEventStore(),
    sessionStorageMode: options.mode,
    sessionStore: redis && new RedisSessionStore({ redis, keyPrefix }),
    onerror: error => console.error(error)
  });
  return {
    handle: (req, res, body) => handler.node(req, res, body),
    async close() {
      await handler.close({ drainMs: 0 });
      redis?.disconnect();
    }
  };
}
