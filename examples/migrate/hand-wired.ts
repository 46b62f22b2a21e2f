/**
 * A map of transports, as in the SDK's examples, on a shared store. `createMcpHandler` does the same, and also
 * evicts idle sessions, limits their number and drains them: prefer it (after.ts) unless you need a map.
 *
 *   PORT=3001 REDIS_URL=redis://127.0.0.1:6379 npx tsx examples/migrate/hand-wired.ts
 *   PORT=3002 REDIS_URL=redis://127.0.0.1:6379 npx tsx examples/migrate/hand-wired.ts
 */
import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { Redis } from 'ioredis';
import { McpServer, RedisSessionStore, StreamableHTTPServerTransport } from 'mcp-sdk-anypod/server';

const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', { socketTimeout: 5000 });
redis.on('error', error => console.error(`Redis: ${error.message}`));
const app = express();
app.use(express.json({ limit: '4mb' }));
let servers = 0;

const sessionStore = new RedisSessionStore({ redis });
const transports = new Map<string, Promise<StreamableHTTPServerTransport>>();
let recoveries = 0;

app.all('/mcp', async (req, res) => {
  const sessionId = req.get('mcp-session-id');
  // Added to the map before the first await, so that all requests of a session share one transport and one recovery.
  const known = sessionId === undefined ? undefined : transports.get(sessionId);
  const connecting = known ?? connect();
  if (sessionId !== undefined) transports.set(sessionId, connecting);
  const transport = await connecting;
  await transport.handleRequest(req, res, req.body);
  // The session that the client named is not served here: it does not exist, or a new one was opened.
  if (transport.sessionId !== sessionId && sessionId !== undefined) transports.delete(sessionId);
  if (transport.sessionId === undefined) await transport.close();
});

async function connect(): Promise<StreamableHTTPServerTransport> {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    sessionStore,
    onsessioninitialized: sessionId => void transports.set(sessionId, Promise.resolve(transport)),
    onsessionrecovered: () => void recoveries++ // set up here what your application keeps for each session
  });
  await createMcpServer().connect(transport);
  const { onclose } = transport; // of the server
  transport.onclose = () => {
    transports.delete(transport.sessionId ?? '');
    onclose?.();
  };
  return transport;
}

const listener = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening ${(listener.address() as AddressInfo).port}`);
});

function createMcpServer(): McpServer {
  servers++;
  const mcp = new McpServer({ name: 'hand-wired', version: '1.0.0' });
  mcp.registerTool('counts', { description: 'Servers and recoveries in this process.' }, () => ({
    content: [{ type: 'text', text: JSON.stringify({ servers, recoveries, transports: transports.size }) }]
  }));
  return mcp;
}
