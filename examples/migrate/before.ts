/**
 * Before: sessions on several pods, written by hand on the stock SDK, as is common. Compare with after.ts.
 *
 *   PORT=3001 REDIS_URL=redis://127.0.0.1:6379 npx tsx examples/migrate/before.ts
 *   PORT=3002 REDIS_URL=redis://127.0.0.1:6379 npx tsx examples/migrate/before.ts
 *
 * A pod without the session builds a new transport and sets its private fields as if it had the session. This works for
 * tool calls only:
 * - The server of that transport was never initialized. It does not know the client's name and capabilities,
 *   so elicitation and sampling are refused. The log level and the subscriptions are lost.
 * - The fields are private, and have moved before. Setting the old ones has no effect, or throws.
 * - A session that is deleted on one pod stays in the maps of the others.
 */
import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { Redis } from 'ioredis';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';

const ttlSeconds = 3600;
const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', { socketTimeout: 5000 });
redis.on('error', error => console.error(`Redis: ${error.message}`));
const transports = new Map<string, StreamableHTTPServerTransport>();

const app = express();
app.use(express.json({ limit: '4mb' }));
app.all('/mcp', async (req, res) => {
  const sessionId = req.header('mcp-session-id');
  const transport = sessionId ? await find(sessionId) : isInitializeRequest(req.body) ? await open() : undefined;
  if (transport) return transport.handleRequest(req, res, req.body);
  res.status(404).json({ jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null });
});
const listener = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening ${(listener.address() as AddressInfo).port}`);
});

async function open(): Promise<StreamableHTTPServerTransport> {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: async sessionId => {
      await redis.set(`session:${sessionId}`, JSON.stringify({ createdAt: Date.now() }), 'EX', ttlSeconds);
      transports.set(sessionId, transport);
    },
    onsessionclosed: forget
  });
  await createMcpServer().connect(transport);
  return transport;
}

async function find(sessionId: string): Promise<StreamableHTTPServerTransport | undefined> {
  const known = transports.get(sessionId);
  if (known) {
    await redis.expire(`session:${sessionId}`, ttlSeconds);
    return known;
  }
  if (!(await redis.getex(`session:${sessionId}`, 'EX', ttlSeconds))) return undefined;

  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => sessionId, onsessionclosed: forget });
  // eslint-disable-next-line @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-member-access -- the workaround reaches for private fields, that is its point
  Object.assign((transport as any)._webStandardTransport, { _initialized: true, sessionId });
  transports.set(sessionId, transport);
  await createMcpServer().connect(transport);
  return transport;
}

async function forget(sessionId: string): Promise<void> {
  transports.delete(sessionId);
  await redis.del(`session:${sessionId}`);
}

function createMcpServer(): McpServer {
  const mcp = new McpServer({ name: 'greeter', version: '1.0.0' });
  mcp.registerTool('greet', { description: 'Greets its caller by name.' }, () => ({
    content: [{ type: 'text', text: `Hello ${mcp.server.getClientVersion()?.name ?? 'stranger'}` }]
  }));
  return mcp;
}
