import { randomUUID } from 'node:crypto';
import { McpServer, WebStandardStreamableHTTPServerTransport } from '@modelcontextprotocol/server';
import { Redis } from 'ioredis';
import { createMcpHandler, RedisSessionStore } from 'mcp-server-anypod';
import { z } from 'zod';
import { heapOfSession } from './heapUsed.js';
import { configuration, serve } from './rpc.js';
import type { WebHandle } from './servers.js';
import { WebClient } from './webClient.js';

/** Sessions of 2025 clients on version 2 of the SDK, without the code of version 1. */
export interface HeapVersion2Configuration {
  subject: 'redis' | 'stock';
  redis: string;
}

const { subject, redis } = configuration<HeapVersion2Configuration>();

/** As the server of version 1 in these rows: each makes its schema. */
function makeServer(): McpServer {
  const server = new McpServer({ name: 'echo', version: '1' }, { capabilities: { logging: {} } });
  const inputSchema = z.object({ text: z.string() });
  server.registerTool('echo', { inputSchema }, ({ text }) => ({ content: [{ type: 'text', text }] }));
  return server;
}

function stock(): WebHandle {
  const transports = new Map<string, WebStandardStreamableHTTPServerTransport>();
  return async request => {
    const known = transports.get(String(request.headers.get('mcp-session-id')));
    if (known) return known.handleRequest(request);
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: sessionId => void transports.set(sessionId, transport)
    });
    await makeServer().connect(transport);
    return transport.handleRequest(request);
  };
}

function ours(): WebHandle {
  const sessionStore = new RedisSessionStore({ redis: new Redis(redis, { enableAutoPipelining: true }) });
  return createMcpHandler(makeServer, { sessionStore, maxLiveSessions: 1_000_000 }).fetch;
}

const client = new WebClient(subject === 'redis' ? ours() : stock());

serve({ measure: ({ count }: { count: number }) => heapOfSession(client, count) });
