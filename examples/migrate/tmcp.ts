/**
 * A server of tmcp on several pods: its own transports, with session managers of this package.
 *
 *   PORT=3001 npx tsx examples/migrate/tmcp.ts & PORT=3002 npx tsx examples/migrate/tmcp.ts   # Redis on this machine
 *
 * With DATABASE_URL the pods share a Postgres instead.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { HttpTransport } from '@tmcp/transport-http';
import { SseTransport } from '@tmcp/transport-sse';
import { createSessionServices } from 'mcp-sdk-anypod/server';
import { RedisInfoSessionManager, RedisStreamSessionManager, RedisSubscriptionManager } from 'mcp-sdk-anypod/tmcp';
import { McpServer } from 'tmcp';
import { tool } from 'tmcp/utils';

// A URL, or a store and a bus.
const backend = process.env.DATABASE_URL
  ? await createSessionServices({ defaultTtl: 86_400 })
  : (process.env.REDIS_URL ?? 'redis://localhost:6379');

const sessionManager = {
  streams: new RedisStreamSessionManager(backend),
  info: new RedisInfoSessionManager(backend)
};
const subscriptionManager = new RedisSubscriptionManager(backend);

const server = new McpServer(
  { name: 'shop', version: '1.0.0', description: 'A shop' },
  {
    adapter: undefined,
    capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true }, logging: {} }
  }
);
server.resource({ name: 'stock', description: 'What is in stock', uri: 'shop://stock' }, uri => ({
  contents: [{ uri, text: 'apples' }]
}));
server.tool({ name: 'who', description: 'Which client is this?' }, () => {
  const { clientInfo, clientCapabilities, logLevel } = server.ctx.sessionInfo ?? {};
  return tool.text(JSON.stringify({ client: clientInfo?.name, roots: clientCapabilities?.roots, logLevel }));
});
server.tool({ name: 'log', description: 'Logs a piece of information' }, () => {
  server.log('info', 'a sale');
  return tool.text('logged');
});
server.tool({ name: 'sell', description: 'Changes the stock' }, () => {
  server.changed('resource', 'shop://stock');
  return tool.text('sold');
});
server.tool({ name: 'extend', description: 'Adds a tool' }, () => {
  server.changed('tools');
  return tool.text('extended');
});

const http = new HttpTransport(server, { path: '/mcp', sessionManager, subscriptionManager });
const sse = new SseTransport(server, { path: '/sse', endpoint: '/message', sessionManager });

const respond = getRequestListener(
  async request => (await http.respond(request)) ?? (await sse.respond(request)) ?? new Response(null, { status: 404 })
);
const listener = createServer((req, res) => void respond(req, res));
listener.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening ${(listener.address() as AddressInfo).port}`);
});

process.once('SIGTERM', () => void shutDown());

/** Nothing stays open, so the process ends. */
async function shutDown(): Promise<void> {
  listener.close();
  await sessionManager.streams.close();
  await sessionManager.info.close();
  await subscriptionManager.disconnect();
  listener.closeAllConnections();
  if (typeof backend !== 'string') await backend.close();
}
