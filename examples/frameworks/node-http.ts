/** Node's own HTTP server: `PORT=3001 npx tsx examples/frameworks/node-http.ts` */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { handler, port } from './mcp.js';

const server = createServer((req, res) => {
  if (new URL(req.url ?? '/', 'http://pod').pathname === '/mcp') void handler.node(req, res);
  else res.writeHead(404).end();
});
server.listen(port, '127.0.0.1', () => console.log(`listening ${(server.address() as AddressInfo).port}`));
