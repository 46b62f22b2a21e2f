import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { createMcpHandler, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import { AjvJsonSchemaValidator } from 'mcp-sdk-upstream/validation/ajv';
import { z } from 'zod';
import { collectGarbage } from './collectGarbage.js';
import { listen } from '../servers/listen.js';
import { until } from '../until.js';

export interface Holdings {
  sessions: number;
  heapKiB: number;
  /** What keeps the process alive, by kind: sockets, timers, requests. */
  resources: Record<string, number>;
}

export interface Measured {
  /** How long the sessions took to open. */
  seconds: number;
  before: Holdings;
  live: Holdings;
  after: Holdings;
}

/**
 * Opens many sessions on one pod and leaves them: some with a stream that is cut, none with a DELETE. Says what the
 * process holds before, while they are live, and after the pod has forgotten them.
 */
const { values: flags } = parseArgs({
  options: { redis: { type: 'string', default: '' }, sessions: { type: 'string', default: '10000' } }
});

const jsonSchemaValidator = new AjvJsonSchemaValidator();
const redis = new Redis(flags.redis);
const handler = createMcpHandler(modestServer, {
  sessionStore: new RedisSessionStore({ redis }),
  idleTimeoutMs: 2_000,
  maxLiveSessions: 100_000
});
const { port, stop } = await listen((req, res) => void handler.node(req, res));
console.log(`listening ${port}`);
const agent = new Agent({ keepAlive: true, maxSockets: 16 });

// What is made once and stays (connections, code, and what the engine learns of it while it grows hot) is not counted.
await openAndLeave(4_000);
await untilForgotten();
const before = await holdings();
const begin = performance.now();
await openAndLeave(Number(flags.sessions));
const seconds = Math.round(performance.now() - begin) / 1000;
const live = await holdings();
await untilForgotten();
const after = await holdings();
console.log(`holdings ${JSON.stringify({ seconds, before, live, after } satisfies Measured)}`);

await handler.close();
await stop();
redis.disconnect();
agent.destroy();

/** One for all: making one takes longer than all the rest of a session. */
function modestServer(): McpServer {
  const server = new McpServer(
    { name: 'modest', version: '1' },
    { capabilities: { logging: {} }, jsonSchemaValidator }
  );
  server.registerTool('echo', { inputSchema: { text: z.string() } }, ({ text }) => ({
    content: [{ type: 'text', text }]
  }));
  return server;
}

async function openAndLeave(count: number): Promise<void> {
  let next = 0;
  const work = async () => {
    while (next < count) await openOne(next++);
  };
  await Promise.all(Array.from({ length: 16 }, work));
}

/** Every tenth client holds its stream for a moment, and is gone without a word. */
async function openOne(index: number): Promise<void> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
  const opened = await exchange('POST', { jsonrpc: '2.0', id: 1, method: 'initialize', params });
  const sessionId = opened.headers['mcp-session-id'] as string;
  await exchange('POST', { jsonrpc: '2.0', method: 'notifications/initialized' }, sessionId);
  if (index % 10 === 0) await exchange('GET', undefined, sessionId);
}

async function exchange(method: string, body?: object, sessionId?: string): Promise<IncomingMessage> {
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream'
  };
  if (sessionId !== undefined) headers['mcp-session-id'] = sessionId;
  const req = request({ host: '127.0.0.1', port, path: '/mcp', method, headers, agent });
  req.end(body && JSON.stringify(body));
  const [response] = (await once(req, 'response')) as [IncomingMessage];
  if (response.statusCode! >= 300) throw new Error(`${method} was answered ${response.statusCode}`);
  if (method === 'GET') response.destroy();
  else await once(response.resume(), 'end');
  return response;
}

async function untilForgotten(): Promise<void> {
  await until('the pod has forgotten all sessions', () => handler.liveSessions === 0, 30_000);
}

async function holdings(): Promise<Holdings> {
  // Sockets and timers of the last exchanges end on their own turns.
  await delay(50);
  collectGarbage();
  const resources: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
  return { sessions: handler.liveSessions, heapKiB: Math.round(process.memoryUsage().heapUsed / 1024), resources };
}
