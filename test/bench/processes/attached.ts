import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMcpHandler, type McpHandler, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { Redis } from 'ioredis';
import { settledHeap } from './heapUsed.js';
import { LeastServer } from './leastServer.js';
import { configuration, cpuMicros, serve } from './rpc.js';

export interface AttachedConfiguration {
  /** `bare`: event streams of `node:http` that get a comment as often as ours. */
  subject: 'redis' | 'bare';
  redis: string;
}

const KEEP_ALIVE_MS = 15_000;

const config = configuration<AttachedConfiguration>();

let handler: McpHandler | undefined;
const open: ServerResponse[] = [];

function subject(): (req: IncomingMessage, res: ServerResponse) => void {
  if (config.subject === 'bare') return holdBare;
  const { node } = (handler = createMcpHandler(() => new LeastServer(), {
    maxLiveSessions: 1_000_000,
    keepAliveMs: KEEP_ALIVE_MS,
    sessionStore: new RedisSessionStore({ redis: new Redis(config.redis, { enableAutoPipelining: true }) })
  }));
  return (req, res) => void node(req, res);
}

function holdBare(_req: IncomingMessage, res: ServerResponse): void {
  res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
  const timer = setInterval(() => res.write(': keep-alive\n\n'), KEEP_ALIVE_MS);
  res.once('close', () => clearInterval(timer));
  open.push(res);
}

/** Tells every client that a resource has changed. */
async function notify({ uri }: { uri: string }): Promise<void> {
  if (handler) return handler.notify.resourceUpdated(uri);
  const message = { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri } };
  for (const res of open) res.write(`event: message\ndata: ${JSON.stringify(message)}\n\n`);
}

const listener = createServer(subject()).listen(0, '127.0.0.1', 4096);
await once(listener, 'listening');

serve({
  origin: () => `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
  cpu: cpuMicros,
  heap: settledHeap,
  notify
});
