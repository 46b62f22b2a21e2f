import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import {
  createMcpHandler,
  McpServer,
  PostgresSessionStore,
  RedisEventStore,
  RedisSessionStore,
  type McpHandler,
  type McpHandlerOptions,
  type ServerContext
} from 'mcp-sdk-anypod/server';
import { StreamableHTTPServerTransport as StockTransport } from 'mcp-sdk-upstream/server/streamableHttp.js';
import { InMemoryEventStore as StockEventStore } from 'mcp-sdk-upstream/examples/shared/inMemoryEventStore.js';
import { WebStandardStreamableHTTPServerTransport as StockWebTransport } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import { z } from 'zod';

export const KEY_PREFIX = 'mcp:session:';
/** Answers a request whose body, where the host has parsed it, is `body`. */
export type NodeHandle = (req: IncomingMessage, res: ServerResponse, body?: unknown) => Promise<unknown>;
export type WebHandle = (request: Request) => Promise<Response>;

/** The server under load, the same for every subject: one tool with one zod string argument. */
export function makeServer(): McpServer {
  const server = new McpServer({ name: 'echo', version: '1' }, { capabilities: { logging: {} } });
  server.registerTool('echo', { inputSchema: { text: z.string() } }, ({ text }) => ({
    content: [{ type: 'text', text }]
  }));
  return server;
}

/** The map of transports that the SDK's examples keep. */
export function stockNode(enableJsonResponse: boolean, events = false): NodeHandle {
  const eventStore = events ? new StockEventStore() : undefined;
  const transports = new Map<string, StockTransport>();
  return async (req, res, body) => {
    const known = transports.get(String(req.headers['mcp-session-id']));
    if (known) return known.handleRequest(req, res, body);
    const transport = new StockTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse,
      eventStore,
      onsessioninitialized: sessionId => void transports.set(sessionId, transport)
    });
    await makeServer().connect(transport);
    return transport.handleRequest(req, res, body);
  };
}

/** The same map for the web-standard transport. */
export function stockWeb(factory: () => McpServer = makeServer): WebHandle {
  const transports = new Map<string, StockWebTransport>();
  return async request => {
    const known = transports.get(String(request.headers.get('mcp-session-id')));
    if (known) return known.handleRequest(request);
    const transport = new StockWebTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: sessionId => void transports.set(sessionId, transport)
    });
    await factory().connect(transport);
    return transport.handleRequest(request);
  };
}

export interface Ours {
  readonly handler: McpHandler;
  readonly redis: Redis | undefined;
  /** Servers that have been recovered on this pod, by session id. */
  readonly servers: Map<string, McpServer>;
}

/** Our handler: on Redis or Postgres where a URL is given, in memory otherwise. */
export function ours(
  redisUrl: string | undefined,
  {
    events = false,
    postgres,
    ...options
  }: McpHandlerOptions & { events?: boolean; postgres?: string | undefined } = {},
  factory: (context: ServerContext) => McpServer = makeServer
): Ours {
  const redis = redisUrl === undefined ? undefined : new Redis(redisUrl, { enableAutoPipelining: true });
  const servers = new Map<string, McpServer>();
  const makeNoted = (context: ServerContext): McpServer => {
    const server = factory(context);
    const { sessionId } = context;
    if (sessionId !== undefined) servers.set(sessionId, server);
    return server;
  };
  const handler = createMcpHandler(makeNoted, {
    ...options,
    sessionStore: redis
      ? new RedisSessionStore({ redis, keyPrefix: KEY_PREFIX })
      : postgres === undefined
        ? undefined
        : new PostgresSessionStore({ pool: new Pool({ connectionString: postgres, max: 10 }) }),
    eventStore:
      redis && events ? new RedisEventStore({ redis, keyPrefix: KEY_PREFIX, maxEventsPerStream: 5000 }) : undefined
  });
  return { handler, redis, servers };
}
