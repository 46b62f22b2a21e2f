/** Node's own HTTP server: `PORT=3001 npx tsx examples/v2/node-http.ts` */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { handler, MENU, port } from './mcp.js';

const server = createServer((req, res) => {
  const { pathname } = new URL(req.url ?? '/', 'http://pod');
  if (pathname === '/mcp') return void handler.node(req, res);
  if (pathname === '/ready') return res.writeHead(handler.ready ? 200 : 503).end(JSON.stringify(handler.health()));
  // Any pod can tell the clients of both eras, on every pod.
  if (pathname === '/menu' && req.method === 'POST') {
    return void handler.notify.resourceUpdated(MENU).finally(() => res.writeHead(204).end());
  }
  res.writeHead(404).end();
});
server.listen(port, '127.0.0.1', () => console.log(`listening ${(server.address() as AddressInfo).port}`));
