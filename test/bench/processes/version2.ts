import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Redis } from 'ioredis';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler as createStockHandler, McpServer } from '@modelcontextprotocol/server';
import { createMcpHandler, RedisSessionStore } from 'mcp-server-anypod';
import { z } from 'zod';
import { configuration, cpuMicros, serve } from './rpc.js';
import type { NodeHandle } from './servers.js';

/** A pod with version 2 of the SDK, without the code of version 1. */
export interface Version2Configuration {
  /** `stateless` is the fallback of the SDK's own handler for 2025 clients, `stock` its transport in a map. */
  subject: 'stateless' | 'stock' | 'memory' | 'redis';
  redis?: string;
}

const { subject, redis } = configuration<Version2Configuration>();
const inputSchema = z.object({ text: z.string() });

/** The server under load, as that of version 1. Its schema is made once, in favour of the fallback: that makes a server for each request. */
function makeServer(): McpServer {
  const server = new McpServer({ name: 'echo', version: '1' }, { capabilities: { logging: {} } });
  server.registerTool('echo', { inputSchema }, ({ text }) => ({ content: [{ type: 'text', text }] }));
  return server;
}

/** The map of transports that the SDK's guide describes. */
function stock(): NodeHandle {
  const transports = new Map<string, NodeStreamableHTTPServerTransport>();
  return async (req, res) => {
    const known = transports.get(String(req.headers['mcp-session-id']));
    if (known) return known.handleRequest(req, res);
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: sessionId => void transports.set(sessionId, transport)
    });
    await makeServer().connect(transport);
    return transport.handleRequest(req, res);
  };
}

function handle(): NodeHandle {
  switch (subject) {
    case 'stateless':
      return toNodeHandler(createStockHandler(makeServer));
    case 'stock':
      return stock();
    case 'memory':
      return createMcpHandler(makeServer).node;
    case 'redis': {
      const sessionStore = new RedisSessionStore({ redis: new Redis(redis!, { enableAutoPipelining: true }) });
      return createMcpHandler(makeServer, { sessionStore }).node;
    }
  }
}

const answer = handle();
const listener = createServer((req, res) => void answer(req, res)).listen(0, '127.0.0.1');
await once(listener, 'listening');

serve({ origin: () => `http://127.0.0.1:${(listener.address() as AddressInfo).port}`, cpu: cpuMicros });
