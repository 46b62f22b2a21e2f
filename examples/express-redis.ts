/**
 * Express and several pods: start any number, put any load balancer in front, and stop any of them at any time.
 *
 *   PORT=3001 REDIS_URL=redis://127.0.0.1:6379 npx tsx examples/express-redis.ts
 *   PORT=3002 REDIS_URL=redis://127.0.0.1:6379 npx tsx examples/express-redis.ts
 *
 * A session that began on one pod continues on the other: http://127.0.0.1:3001/mcp, http://127.0.0.1:3002/mcp.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { Redis } from 'ioredis';
import { createMcpHandler, McpServer, RedisSessionStore, type ServerContext } from 'mcp-sdk-anypod/server';
import { z } from 'zod';

const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', { socketTimeout: 5000 });
redis.on('error', error => console.error(`Redis: ${error.message}`));

const handler = createMcpHandler(createMcpServer, {
  sessionStore: new RedisSessionStore({ redis, ttlSeconds: 3600 }),
  onerror: error => console.error(error.message)
});

const app = express();
// For the balancer's probe: after SIGTERM, no new client should connect here.
app.get('/ready', (_, res) => void res.sendStatus(handler.ready ? 200 : 503));
app.use(express.json({ limit: '4mb' }));
app.all('/mcp', (req, res) => handler.node(req, res, req.body));
const listener = app.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening ${(listener.address() as AddressInfo).port}`);
});

process.once('SIGTERM', () => void shutDown());

/**
 * A deploy loses nothing. This pod serves requests until the balancer has noticed, and answers those in flight. Its
 * sessions continue on other pods. The listener closes last: until then the balancer may still send requests here.
 */
async function shutDown(): Promise<void> {
  await handler.close({ delayMs: Number(process.env.SHUTDOWN_DELAY_MS ?? 5000), drainMs: 10_000 });
  listener.close();
  listener.closeAllConnections();
  await redis.quit();
}

function createMcpServer({ jsonSchemaValidator }: ServerContext): McpServer {
  const mcp = new McpServer({ name: 'express-redis', version: '1.0.0' }, { jsonSchemaValidator });
  mcp.registerTool('whoami', { description: 'Who calls, and which pod answers?' }, () => ({
    content: [{ type: 'text', text: `${mcp.server.getClientVersion()?.name} on pod ${process.pid}` }]
  }));
  mcp.registerTool(
    'work',
    { description: 'Takes a while.', inputSchema: { seconds: z.number().max(60) } },
    async ({ seconds }) => {
      await delay(seconds * 1000);
      return { content: [{ type: 'text', text: `done on pod ${process.pid}` }] };
    }
  );
  return mcp;
}
