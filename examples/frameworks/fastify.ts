/** Fastify 5: `PORT=3001 npx tsx examples/frameworks/fastify.ts` */
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import { allowOrigin } from './cors.js';
import { handler, port } from './mcp.js';

const app = fastify({ bodyLimit: 4 * 1024 * 1024, forceCloseConnections: true });
app.all('/mcp', async (request, reply) => {
  // From here on, the handler writes the answer: a stream may stay open for as long as its client keeps it.
  reply.hijack();
  if (!allowOrigin(request.raw, reply.raw)) return handler.node(request.raw, reply.raw, request.body);
});
app.get('/ready', (_, reply) => reply.code(handler.ready ? 200 : 503).send(handler.health()));
app.addHook('preClose', () => handler.close());

await app.listen({ port, host: '127.0.0.1' });
console.log(`listening ${(app.server.address() as AddressInfo).port}`);
