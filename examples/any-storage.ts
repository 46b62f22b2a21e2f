/**
 * The environment selects the storage of sessions; the code does not change.
 *
 *   npx tsx examples/any-storage.ts                                       # a Redis on this machine, or memory
 *   REDIS_URL=redis://user:password@redis:6379 npx tsx examples/any-storage.ts
 *   DATABASE_URL=postgres://user:password@db/app npx tsx examples/any-storage.ts
 *   MCP_TS_STORAGE_FILE=/var/lib/app/sessions npx tsx examples/any-storage.ts
 *   MCP_TS_STORAGE_TYPE=memory npx tsx examples/any-storage.ts
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMcpHandler, createSessionServices, McpServer } from 'mcp-sdk-anypod/server';

const services = await createSessionServices({
  verbose: true,
  onLog: (level, message) => console.error(level, message)
});

const handler = createMcpHandler(
  ({ jsonSchemaValidator }) => {
    const mcp = new McpServer({ name: 'any-storage', version: '1.0.0' }, { jsonSchemaValidator });
    mcp.registerTool('where', { description: 'Which pod answers, and where are sessions kept?' }, () => ({
      content: [{ type: 'text', text: `pod ${process.pid}, ${services.storage}` }]
    }));
    return mcp;
  },
  { ...services, onerror: error => console.error(error.message) }
);

const server = createServer((req, res) => {
  if (req.url === '/mcp') void handler.node(req, res);
  else res.writeHead(404).end();
});

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`);
});

process.once('SIGTERM', () => void shutDown());

/** Closes the handler first, because it still uses the services. Nothing stays open, so the process ends. */
async function shutDown(): Promise<void> {
  server.close();
  await handler.close({ drainMs: 10_000 });
  server.closeAllConnections();
  await services.close();
}
