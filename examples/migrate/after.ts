/**
 * After: the application of before.ts on this package. It no longer needs the map of transports, the session data and
 * the private fields. Every pod knows the client, whichever pod it met first. A deleted session is gone everywhere.
 *
 *   PORT=3001 REDIS_URL=redis://127.0.0.1:6379 npx tsx examples/migrate/after.ts
 *   PORT=3002 REDIS_URL=redis://127.0.0.1:6379 npx tsx examples/migrate/after.ts
 *
 * Sessions of before.ts are not migrated, because their handshake was never stored: their clients get a 404 once,
 * and start a new session.
 */
import type { AddressInfo } from 'node:net';
import express from 'express';
import { Redis } from 'ioredis';
import { createMcpHandler, McpServer, RedisSessionStore, type ServerContext } from 'mcp-sdk-anypod/server';

const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', { socketTimeout: 5000 });
redis.on('error', error => console.error(`Redis: ${error.message}`));
const handler = createMcpHandler(createMcpServer, {
  sessionStore: new RedisSessionStore({ redis, ttlSeconds: 3600 }),
  onerror: error => console.error(error.message)
});

const app = express();
app.use(express.json({ limit: '4mb' }));
app.all('/mcp', (req, res) => handler.node(req, res, req.body));
const listener = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening ${(listener.address() as AddressInfo).port}`);
});

function createMcpServer({ jsonSchemaValidator }: ServerContext): McpServer {
  const mcp = new McpServer({ name: 'greeter', version: '1.0.0' }, { jsonSchemaValidator });
  mcp.registerTool('greet', { description: 'Greets its caller by name.' }, () => ({
    content: [{ type: 'text', text: `Hello ${mcp.server.getClientVersion()?.name ?? 'stranger'}` }]
  }));
  return mcp;
}
