/** Fastify 5: `PORT=3001 npx tsx examples/v2/fastify.ts` */
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import { handler, MENU, port } from './mcp.js';

const app = fastify({ bodyLimit: 4 * 1024 * 1024, forceCloseConnections: true });
app.all('/mcp', async (request, reply) => {
  // From here on, the handler writes the answer: a stream may stay open for as long as its client keeps it.
  reply.hijack();
  return handler.node(request.raw, reply.raw, request.body);
});
app.get('/ready', (_, reply) => reply.code(handler.ready ? 200 : 503).send(handler.health()));
app.post('/menu', async (_, reply) => {
  await handler.notify.resourceUpdated(MENU);
  return reply.code(204).send();
});

await app.listen({ port, host: '127.0.0.1' });
console.log(`listening ${(app.server.address() as AddressInfo).port}`);
