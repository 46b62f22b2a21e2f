/** Hono on Node: `PORT=3001 npx tsx examples/v2/hono.ts`. On Bun, Deno and workers: `export default app` */
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { handler, MENU, port } from './mcp.js';

const app = new Hono();
app.all('/mcp', context => handler.fetch(context.req.raw));
app.get('/ready', context => context.json(handler.health(), handler.ready ? 200 : 503));
app.post('/menu', async context => {
  await handler.notify.resourceUpdated(MENU);
  return context.body(null, 204);
});

serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }, info => console.log(`listening ${info.port}`));
