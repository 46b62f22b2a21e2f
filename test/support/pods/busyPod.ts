import { AsyncLocalStorage } from 'node:async_hooks';
import type { Server } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import {
  createMcpHandler,
  EventStoreUnavailableError,
  McpServer,
  RedisEventStore,
  RedisSessionStore
} from 'mcp-sdk-anypod/server';
import { z } from 'zod';
import { ask, makeProgress } from './askingTools.js';
import { runPod } from './runPod.js';

/**
 * A pod whose tools take their time and say for whom they did what: every answer, question and notification carries
 * the token that its caller gave, so that nothing is lost, doubled or mixed up unseen.
 */
const { values: flags } = parseArgs({
  options: {
    redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
    lease: { type: 'string', default: '1000' },
    drain: { type: 'string', default: '5000' },
    /** Milliseconds for which a pod that is to end goes on serving. */
    delay: { type: 'string', default: '0' },
    port: { type: 'string', default: '0' },
    'no-log': { type: 'boolean', default: false },
    /** Refuses a second standalone stream, as the SDK does. */
    reject: { type: 'boolean', default: false }
  }
});

/** What a tool answers, as JSON. */
export interface Done {
  token: string;
  sessionId: string | undefined;
  pid: number;
  /** What the client has said when it was asked. */
  said?: unknown;
}

/** The token of what is being sent. */
const sending = new AsyncLocalStorage<string>();
// A dead connection is noticed and replaced, as src/backends/redis/README.md says.
const redis = new Redis(flags.redis, { enableAutoPipelining: true, socketTimeout: 5000 });
redis.on('error', error => console.error(String(error)));
const handler = createMcpHandler(makeServer, {
  sessionStore: new RedisSessionStore({ redis }),
  eventStore: flags['no-log'] ? undefined : new RedisEventStore({ redis }),
  leaseMs: Number(flags.lease),
  standaloneStream: flags.reject ? 'reject' : 'takeover',
  retryInterval: 100,
  onerror(error) {
    console.error(`${error.name}: ${error.message}`);
    const token = sending.getStore();
    // Whoever counts messages must know: this one went out without an id, so it may get lost or come twice.
    if (token !== undefined && error instanceof EventStoreUnavailableError) console.log(`unlogged ${token}`);
  }
});
const server = await runPod(
  (req, res) => {
    if (req.url === '/ready') res.writeHead(handler.ready ? 200 : 503).end();
    else void handler.node(req, res);
  },
  { port: flags.port, leave }
);
// An idle connection is its client's to close: Node would do so after 5 s, maybe while the next request is on its way.
server.keepAliveTimeout = 60_000;

function makeServer(): McpServer {
  const server = new McpServer({ name: 'busy', version: '1' }, { capabilities: { logging: {} } });
  const done = (token: string, sessionId: string | undefined, said?: unknown) => {
    const text = JSON.stringify({ token, sessionId, pid: process.pid, said } satisfies Done);
    return { content: [{ type: 'text' as const, text }] };
  };
  const inputSchema = {
    token: z.string(),
    ms: z.number().default(0),
    count: z.number().default(1),
    everyMs: z.number().default(0)
  };

  server.registerTool('work', { inputSchema }, async ({ token, ms }, { sessionId }) => {
    if (ms > 0) await delay(ms);
    return done(token, sessionId);
  });
  server.registerTool('poll', { inputSchema }, async ({ token, ms }, { sessionId, closeSSEStream }) => {
    closeSSEStream?.();
    await delay(ms);
    return done(token, sessionId);
  });
  server.registerTool('ask', { inputSchema }, async ({ token, ms }, extra) => {
    if (ms > 0) await delay(ms);
    const [asked] = await sending.run(token, () =>
      ask(server.server, { kind: 'form', text: token, timeoutMs: 3000 }, extra)
    );
    return done(token, extra.sessionId, asked?.error ?? asked?.result?.content);
  });
  server.registerTool('steps', { inputSchema }, async ({ token, count, everyMs }, extra) => {
    await sending.run(token, () => makeProgress({ steps: count, everyMs }, extra));
    return done(token, extra.sessionId);
  });
  // Each notification tells when it was sent.
  server.registerTool('beat', { inputSchema }, async ({ token, count, everyMs }, extra) => {
    for (let i = 0; i < count; i++) {
      await delay(everyMs);
      const params = { level: 'info' as const, data: { token: `${token}.${i}`, at: Date.now() } };
      await sending.run(params.data.token, () => extra.sendNotification({ method: 'notifications/message', params }));
    }
    return done(token, extra.sessionId);
  });
  // On the standalone stream.
  server.registerTool('tell', { inputSchema }, async ({ token, count }, { sessionId }) => {
    for (let i = 0; i < count; i++) {
      const data = { token: `${token}.${i}`, at: Date.now() };
      await sending.run(data.token, () => server.server.sendLoggingMessage({ level: 'info', data }));
    }
    return done(token, sessionId);
  });
  return server;
}

/** As a rolling deploy would have it: what is under way may finish, then the process ends by itself. */
async function leave(server: Server): Promise<void> {
  const delayMs = Number(flags.delay);
  const drained = handler.close({ delayMs, drainMs: Number(flags.drain) });
  // With a delay the balancer still sends requests here.
  if (delayMs === 0) server.close();
  await drained;
  redis.disconnect();
}
