/**
 * The SDK's own handler, for clients of 2026-07-28 only, with `subscriptions/listen` on all pods:
 * `PORT=3001 npx tsx examples/v2/sdk-handler.ts`
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler } from '@modelcontextprotocol/server';
import { SharedServerEventBus } from 'mcp-server-anypod';
import { makeServer, MENU, port, sessionStore } from './mcp.js';

const bus = new SharedServerEventBus({
  bus: sessionStore.createBus(),
  onerror: error => console.error(error.message)
});
// From now on this pod hears the others.
await bus.ready();
const handler = createMcpHandler(makeServer, { legacy: 'reject', bus });
const handle = toNodeHandler(handler);

const server = createServer((req, res) => {
  if (req.url === '/menu') {
    handler.notify.resourceUpdated(MENU);
    res.writeHead(204).end();
  } else void handle(req, res);
});
server.listen(port, '127.0.0.1', () => console.log(`listening ${(server.address() as AddressInfo).port}`));
