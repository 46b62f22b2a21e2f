import { ours, makeServer, stockWeb, type WebHandle } from './servers.js';
import { createMcpHandler, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { Redis } from 'ioredis';
import { LeastServer } from './leastServer.js';
import { configuration, serve } from './rpc.js';
import { WebClient } from './webClient.js';

export interface HeapConfiguration {
  subject: 'memory' | 'redis' | 'memory-McpServer' | 'redis-McpServer' | 'stock-McpServer';
  redis: string;
}

const config = configuration<HeapConfiguration>();

function subject(): WebHandle {
  if (config.subject === 'stock-McpServer') return stockWeb();
  const limit = { maxLiveSessions: 1_000_000 };
  const url = config.subject.startsWith('redis') ? config.redis : undefined;
  if (config.subject.endsWith('McpServer')) return ours(url, limit, makeServer).handler.fetch;
  const sessionStore =
    url === undefined ? undefined : new RedisSessionStore({ redis: new Redis(url, { enableAutoPipelining: true }) });
  return createMcpHandler(() => new LeastServer(), { ...limit, sessionStore }).fetch;
}

const client = new WebClient(subject());

/** What is left after collecting, when what is under way has ended. */
async function settledHeap(): Promise<number> {
  for (let turn = 0; turn < 5; turn++) {
    await new Promise(resolve => setTimeout(resolve, 20));
    global.gc!();
  }
  return process.memoryUsage().heapUsed;
}

serve({
  /** Bytes for each session. */
  async measure({ count }: { count: number }) {
    // Code, and what is made once, is there before.
    await client.openMany(count / 5);
    const before = await settledHeap();
    await client.openMany(count);
    return ((await settledHeap()) - before) / count;
  }
});
