/** Node's own HTTP server: `PORT=3001 npx tsx examples/frameworks/node-http.ts` */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { allowOrigin } from './cors.js';
import { handler, port } from './mcp.js';

const server = createServer((req, res) => {
  if (req.url === '/ready') res.writeHead(handler.ready ? 200 : 503).end(JSON.stringify(handler.health()));
  else if (new URL(req.url ?? '/', 'http://pod').pathname !== '/mcp') res.writeHead(404).end();
  else if (!allowOrigin(req, res)) void handler.node(req, res);
});
server.listen(port, '127.0.0.1', () => console.log(`listening ${(server.address() as AddressInfo).port}`));
