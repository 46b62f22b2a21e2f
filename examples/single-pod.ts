/**
 * One pod in memory mode: sessions live in this process, as with the stock SDK, but you need not write, sweep and
 * close a map of transports.
 *
 *   npx tsx examples/single-pod.ts          # http://127.0.0.1:3000/mcp
 *   PORT=3001 npx tsx examples/single-pod.ts
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMcpHandler, McpServer } from 'mcp-sdk-anypod/server';

const handler = createMcpHandler(
  ({ jsonSchemaValidator }) => {
    // Called once per session, so data kept here belongs to one session.
    let calls = 0;
    const mcp = new McpServer({ name: 'single-pod', version: '1.0.0' }, { jsonSchemaValidator });
    mcp.registerTool('count', { description: 'How often has this session called?' }, () => ({
      content: [{ type: 'text', text: String(++calls) }]
    }));
    return mcp;
  },
  { onerror: error => console.error(error.message) }
);

const server = createServer((req, res) => {
  if (req.url === '/mcp') void handler.node(req, res);
  else res.writeHead(404).end();
});

server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`listening ${(server.address() as AddressInfo).port}`);
});
