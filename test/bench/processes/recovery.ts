import { Redis } from 'ioredis';
import { createMcpHandler, McpServer, RedisSessionStore, type ServerFactory } from 'mcp-sdk-anypod/server';
import { z } from 'zod';
import { LeastServer } from './leastServer.js';
import { configuration, cpuMicros, serve } from './rpc.js';
import { toolsOfEachServer, toolsOfThePod } from './manyTools.js';
import { KEY_PREFIX, makeServer, stockWeb } from './servers.js';
import { WebClient } from './webClient.js';

/** What the pods make for a session: the least that a server can be, or one of the SDK's with a tool. */
export type ServerKind = 'least' | 'McpServer' | 'McpServer, shared validator' | 'McpServer of 20 tools, made once';

export interface RecoveryTask {
  kind: ServerKind;
  /** Sessions in the batch. */
  size: number;
}

/** Microseconds of CPU for a call of each session. */
export interface RecoveryResult {
  cold: number;
  live: number;
}

const CONCURRENCY = 32;
const { redis } = configuration<{ redis: string }>();
const probe = new Redis(redis);
const inputSchema = { text: z.string() };

const factories: Record<ServerKind, ServerFactory> = {
  least: () => new LeastServer(),
  McpServer: makeServer,
  'McpServer, shared validator': ({ jsonSchemaValidator }) => {
    const server = new McpServer({ name: 'echo', version: '1' }, { jsonSchemaValidator });
    server.registerTool('echo', { inputSchema }, ({ text }) => ({ content: [{ type: 'text', text }] }));
    return server;
  },
  'McpServer of 20 tools, made once': toolsOfThePod
};

/** CPU of the process for a call of each session, what it does after the last answer included. */
async function spent(client: WebClient, sessions: readonly string[]): Promise<number> {
  const before = cpuMicros();
  for (let i = 0; i < sessions.length; i += CONCURRENCY) {
    await Promise.all(sessions.slice(i, i + CONCURRENCY).map(sessionId => client.echo(sessionId)));
  }
  await quiet();
  return (cpuMicros() - before) / sessions.length;
}

/** Two trips to Redis after the last answer: what was sent there without being waited for has been answered as well. */
async function quiet(): Promise<void> {
  for (let trip = 0; trip < 2; trip++) {
    await probe.ping();
    await new Promise(resolve => setImmediate(resolve));
  }
}

/** Two pods of their own: the sessions of earlier batches must not weigh on the collector. */
async function measure({ kind, size }: RecoveryTask): Promise<RecoveryResult> {
  const [first, cold] = [start(kind), start(kind)] as const;
  const [stranger, ...sessions] = await first.client.openMany(size + 1);
  // Connects the pod to Redis.
  await cold.client.echo(stranger!);
  await quiet();
  const result = { cold: await spent(cold.client, sessions), live: await spent(cold.client, sessions) };
  if (cold.recovered() !== size + 1) throw new Error('Not every session was recovered');
  await Promise.all([first.stop(), cold.stop()]);
  return result;
}

function start(kind: ServerKind): { client: WebClient; recovered: () => number; stop: () => Promise<void> } {
  const client = new Redis(redis, { enableAutoPipelining: true });
  let recovered = 0;
  const handler = createMcpHandler(factories[kind], {
    sessionStore: new RedisSessionStore({ redis: client, keyPrefix: KEY_PREFIX }),
    onsessionrecovered: () => void recovered++
  });
  const stop = async (): Promise<void> => {
    await handler.close({ drainMs: 0 });
    client.disconnect();
  };
  return { client: new WebClient(handler.fetch), recovered: () => recovered, stop };
}

/** A call of a session that the stock SDK has, with a server of 20 tools. @returns microseconds of CPU */
async function measureStock({ size }: { size: number }): Promise<number> {
  const client = new WebClient(stockWeb(toolsOfEachServer));
  const sessions = await client.openMany(size);
  await spent(client, sessions);
  return spent(client, sessions);
}

serve({ measure, measureStock });
