import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import {
  createMcpHandler,
  enableResourceSubscriptions,
  encryptSessionStore,
  McpServer,
  type Notify,
  RedisEventStore,
  RedisSessionStore
} from 'mcp-sdk-anypod/server';
import { z } from 'zod';
import { runPod } from '../support/pods/runPod.js';
import { PostgresStores } from '../support/servers/postgresStores.js';

/**
 * A pod whose tools take their time and tell of it, with an event log. `count` reports its steps on its own
 * stream; with `poll` it closes that stream after the first. `shout` sends on the standalone stream. A POST to
 * `/notify/<method>` calls that method of `handler.notify` with the body's arguments.
 */
const { values: flags } = parseArgs({
  options: {
    redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
    /** In place of `redis`. */
    postgres: { type: 'string' },
    lease: { type: 'string', default: '1000' },
    drain: { type: 'string', default: '5000' },
    /** Keys in base64, separated by commas, that encrypt the sessions. */
    keys: { type: 'string' },
    'no-log': { type: 'boolean', default: false }
  }
});

const postgres = flags.postgres === undefined ? undefined : await PostgresStores.connect(flags.postgres);
const redis = new Redis(flags.redis, { lazyConnect: true });
const plain = postgres ? await postgres.sessions() : new RedisSessionStore({ redis });
const handler = createMcpHandler(makeServer, {
  sessionStore: flags.keys === undefined ? plain : encryptSessionStore(plain, { keys: flags.keys.split(',') }),
  eventStore: flags['no-log'] ? undefined : (postgres?.events() ?? new RedisEventStore({ redis })),
  leaseMs: Number(flags.lease),
  retryInterval: 100,
  onerror: error => console.error(error)
});
await runPod(serve, { leave });

function serve(req: IncomingMessage, res: ServerResponse): void {
  const method = /^\/notify\/(\w+)$/.exec(req.url ?? '')?.[1];
  void (method === undefined ? handler.node(req, res) : notify(method as keyof Notify, req, res));
}

function makeServer(): McpServer {
  const server = new McpServer({ name: 'streams', version: '1' }, { capabilities: { logging: {} } });
  enableResourceSubscriptions(server);
  server.registerTool(
    'count',
    { inputSchema: { steps: z.number(), everyMs: z.number(), poll: z.boolean().default(false) } },
    async ({ steps, everyMs, poll }, extra) => {
      for (let step = 1; step <= steps; step++) {
        await delay(everyMs);
        await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data: step } });
        if (poll && step === 1) extra.closeSSEStream?.();
      }
      return { content: [{ type: 'text', text: `counted to ${steps}` }] };
    }
  );
  server.registerTool(
    'shout',
    { inputSchema: { from: z.number(), to: z.number(), everyMs: z.number().default(0) } },
    async ({ from, to, everyMs }) => {
      for (let data = from; data <= to; data++) {
        if (everyMs > 0) await delay(everyMs);
        await server.sendLoggingMessage({ level: 'info', data });
      }
      return { content: [] };
    }
  );
  return server;
}

async function notify(method: keyof Notify, req: IncomingMessage, res: ServerResponse): Promise<void> {
  try {
    const args = JSON.parse(await text(req)) as unknown[];
    const tell = handler.notify[method].bind(handler.notify) as (...args: unknown[]) => Promise<void>;
    await tell(...args);
    res.writeHead(204).end();
  } catch (error) {
    res.writeHead(500).end(String(error));
  }
}

async function leave(server: Server): Promise<void> {
  const drained = handler.close({ drainMs: Number(flags.drain) });
  server.close();
  await drained;
  redis.disconnect();
  await postgres?.close();
}
