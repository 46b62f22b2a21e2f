import { ours, stockWeb, type WebHandle } from './servers.js';
import { createMcpHandler, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { Redis } from 'ioredis';
import { heapOfSession } from './heapUsed.js';
import { LeastServer } from './leastServer.js';
import { toolsOfEachServer, toolsOfThePod } from './manyTools.js';
import { configuration, serve } from './rpc.js';
import { WebClient } from './webClient.js';

export interface HeapConfiguration {
  subject: 'memory' | 'redis' | 'redis-McpServer' | 'stock-McpServer' | 'redis-20-tools' | 'stock-20-tools';
  redis: string;
}

const config = configuration<HeapConfiguration>();

function subject(): WebHandle {
  if (config.subject === 'stock-McpServer') return stockWeb();
  if (config.subject === 'stock-20-tools') return stockWeb(toolsOfEachServer);
  const limit = { maxLiveSessions: 1_000_000 };
  const url = config.subject.startsWith('redis') ? config.redis : undefined;
  if (config.subject === 'redis-McpServer') return ours(url, limit).handler.fetch;
  if (config.subject === 'redis-20-tools') return ours(url, limit, toolsOfThePod).handler.fetch;
  const sessionStore =
    url === undefined ? undefined : new RedisSessionStore({ redis: new Redis(url, { enableAutoPipelining: true }) });
  return createMcpHandler(() => new LeastServer(), { ...limit, sessionStore }).fetch;
}

const client = new WebClient(subject());

serve({ measure: ({ count }: { count: number }) => heapOfSession(client, count) });
