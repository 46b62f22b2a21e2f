import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import express, { type RequestHandler } from 'express';
import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5';
import {
  createMcpHandler,
  RedisSessionBus,
  RedisSessionStore,
  type McpHandler,
  type McpHandlerOptions,
  type ServerContext,
  type SessionStore
} from 'mcp-sdk-anypod/server';
import { Journal, ProbeServer } from '../support/pods/probeServer.js';
import { runPod } from '../support/pods/runPod.js';
import { nodeListener } from '../support/servers/nodeListener.js';
import { MapSessionStore } from '../support/stores/mapSessionStore.js';
import { PostgresStores } from '../support/servers/postgresStores.js';
import { PlainRedisStore } from '../support/stores/plainRedisStore.js';
import { authenticate } from './authenticate.js';
import { backstage } from './backstage.js';
import { handWired } from './handWired.js';

/**
 * One pod of the cluster tests. Each path is a host of its own, so that one set of pods serves every test of a file:
 * `/mcp` (McpServer), `/slow` (takes 200 ms to make one), `/low` (Server), `/fetch` (the web-standard side of `/mcp`),
 * `/hand` (transports without createMcpHandler), `/brief` (sessions live 2 s), `/forgetful` (idle sessions leave the
 * pod at once), `/reject` (a second standalone stream is refused), `/five` (a store with the five required methods
 * alone, so no bus) and `/alone` (no store). What else it does on request is in backstage.ts.
 */
const { values: flags } = parseArgs({
  options: {
    redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
    /** In place of `redis`. */
    postgres: { type: 'string' },
    /** Carries what pods say to each other, where that is another Redis. */
    bus: { type: 'string' },
    /** Ports of a Redis Cluster on 127.0.0.1, in place of `redis`. */
    nodes: { type: 'string' },
    ioredis: { type: 'string', default: '6' },
    'store-timeout': { type: 'string', default: '2000' },
    port: { type: 'string', default: '0' }
  }
});

const journal = new Journal();
const storeTimeoutMs = Number(flags['store-timeout']);
const postgres = flags.postgres === undefined ? undefined : await PostgresStores.connect(flags.postgres);
const redis = postgres ? undefined : connect();
const busRedis = flags.bus === undefined ? undefined : new Redis(flags.bus);
const store = async (name: string, ttlSeconds?: number): Promise<SessionStore> =>
  redis ? new RedisSessionStore({ redis, keyPrefix: `${name}:`, ttlSeconds }) : postgres!.sessions(name, ttlSeconds);
const shared = await store('pod');

const sessionBus = busRedis && new RedisSessionBus({ redis: busRedis });
const mcp = host('McpServer', { sessionStore: shared, sessionBus });
const hosts = {
  mcp,
  slow: host('McpServer', { sessionStore: shared }, 200),
  low: host('Server', { sessionStore: shared }),
  brief: host('McpServer', { sessionStore: await store('brief', 2), idleTimeoutMs: 60_000 }),
  forgetful: host('Server', { sessionStore: await store('forgetful'), idleTimeoutMs: 100 }),
  reject: host('McpServer', { sessionStore: shared, standaloneStream: 'reject' }),
  five: host('McpServer', { sessionStore: redis ? new PlainRedisStore(redis) : new MapSessionStore() }),
  alone: host('McpServer', {})
};

const app = express();
app.use(authenticate);
app.use(backstage(journal, hosts));
for (const [path, handler] of Object.entries(hosts)) app.all(`/${path}`, serveNode(handler));
app.all(
  '/fetch',
  nodeListener((request, authInfo) => mcp.fetch(request, { authInfo }))
);
app.all('/hand', express.json(), handWired(journal, { sessionStore: shared }));

await runPod(app, { port: flags.port, leave });

function host(kind: 'McpServer' | 'Server', options: McpHandlerOptions, buildMs = 0): McpHandler {
  const factory = async ({ recovering }: ServerContext) => {
    if (buildMs > 0) await delay(buildMs);
    return new ProbeServer(journal, kind, recovering);
  };
  return createMcpHandler(factory, { ...journal.callbacks(), storeTimeoutMs, ...options });
}

function serveNode(handler: McpHandler): RequestHandler {
  return (req, res, next) => void handler.node(req, res).catch(next);
}

/** As a rolling deploy would have it: no new work, what is under way may finish, then the process ends by itself. */
async function leave(): Promise<void> {
  await Promise.all(Object.values(hosts).map(handler => handler.close()));
  redis?.disconnect();
  await postgres?.close();
  busRedis?.disconnect();
}

function connect(): Redis | Cluster | Redis5 | Cluster5 {
  const isFive = flags.ioredis === '5';
  const nodes = flags.nodes?.split(',').map(port => ({ host: '127.0.0.1', port: Number(port) }));
  if (!nodes) return isFive ? new Redis5(flags.redis) : new Redis(flags.redis);
  return isFive ? new Cluster5(nodes) : new Cluster(nodes);
}
