import { AsyncLocalStorage } from 'node:async_hooks';
import type { Server } from 'node:http';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import {
  createMcpHandler as createFirstHandler,
  EventStoreUnavailableError,
  type McpHandlerOptions,
  RedisEventStore,
  RedisSessionStore
} from 'mcp-sdk-anypod/server';
import { createMcpHandler } from '../../../src/v2/index.js';
import { makeFirstServer, makeServer } from './busyTools.js';
import { runPod } from './runPod.js';

/**
 * A pod whose tools take their time and say for whom they did what: every answer, question and notification carries
 * the token that its caller gave, so that nothing is lost, doubled or mixed up unseen.
 */
const { values: flags } = parseArgs({
  options: {
    redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
    /** The version of the SDK. */
    sdk: { type: 'string', default: '1' },
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

/** The token of what is being sent. */
const sending = new AsyncLocalStorage<string>();
const send = <T>(token: string, work: () => Promise<T>): Promise<T> => sending.run(token, work);
// A dead connection is noticed and replaced, as src/backends/redis/README.md says.
const redis = new Redis(flags.redis, { enableAutoPipelining: true, socketTimeout: 5000 });
redis.on('error', error => console.error(String(error)));
const options: McpHandlerOptions = {
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
};
const handler =
  flags.sdk === '1'
    ? createFirstHandler(() => makeFirstServer(send), options)
    : createMcpHandler(() => makeServer(send), options);
const server = await runPod(
  (req, res) => {
    if (req.url === '/ready') res.writeHead(handler.ready ? 200 : 503).end();
    else void handler.node(req, res);
  },
  { port: flags.port, leave }
);
// An idle connection is its client's to close: Node would do so after 5 s, maybe while the next request is on its way.
server.keepAliveTimeout = 60_000;

/** As a rolling deploy would have it: what is under way may finish, then the process ends by itself. */
async function leave(server: Server): Promise<void> {
  const delayMs = Number(flags.delay);
  const drained = handler.close({ delayMs, drainMs: Number(flags.drain) });
  // With a delay the balancer still sends requests here.
  if (delayMs === 0) server.close();
  await drained;
  redis.disconnect();
}
