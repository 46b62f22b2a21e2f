import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { createMcpHandler, McpServer, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { StreamableHTTPServerTransport as StockTransport } from 'mcp-sdk-upstream/server/streamableHttp.js';
import { z } from 'zod';

/** One echo tool behind the stock transport, or behind ours in memory or on Redis; tells its CPU time at `/cpu`. */
const { values: flags } = parseArgs({
  options: {
    subject: { type: 'string', default: 'stock' },
    redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
    json: { type: 'boolean', default: false }
  }
});

type Handle = (req: IncomingMessage, res: ServerResponse) => Promise<void>;

function makeServer(): McpServer {
  const server = new McpServer({ name: 'echo', version: '1' });
  server.registerTool('echo', { inputSchema: { text: z.string() } }, ({ text }) => ({
    content: [{ type: 'text', text }]
  }));
  return server;
}

/** The map of transports that the SDK's examples keep. */
function stockHandle(): Handle {
  const transports = new Map<string, StockTransport>();
  return async (req, res) => {
    const known = transports.get(String(req.headers['mcp-session-id']));
    if (known) return known.handleRequest(req, res);
    const transport = new StockTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse: flags.json,
      onsessioninitialized: sessionId => void transports.set(sessionId, transport)
    });
    await makeServer().connect(transport);
    return transport.handleRequest(req, res);
  };
}

function ourHandle(): Handle {
  const redis = flags.subject === 'redis' ? new Redis(flags.redis, { enableAutoPipelining: true }) : undefined;
  const sessionStore = redis && new RedisSessionStore({ redis, keyPrefix: 'bench:' });
  return createMcpHandler(makeServer, { sessionStore, enableJsonResponse: flags.json }).node;
}

const handle = flags.subject === 'stock' ? stockHandle() : ourHandle();
const listener = createServer((req, res) => {
  if (req.url === '/cpu') res.end(JSON.stringify(process.cpuUsage()));
  else void handle(req, res);
}).listen(0, '127.0.0.1');
await once(listener, 'listening');
console.log(`listening ${(listener.address() as AddressInfo).port}`);
