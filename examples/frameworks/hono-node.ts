/**
 * Hono on Node: `PORT=3001 npx tsx examples/frameworks/hono-node.ts`. The handler gets Node's own objects, which
 * avoids the conversion to a Request and back.
 */
import { type HttpBindings, serve } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { Hono } from 'hono';
import { allowOrigin } from './cors.js';
import { handler, port } from './mcp.js';

const app = new Hono<{ Bindings: HttpBindings }>();
app.all('/mcp', async ({ env }) => {
  if (!allowOrigin(env.incoming, env.outgoing)) await handler.node(env.incoming, env.outgoing);
  return RESPONSE_ALREADY_SENT;
});
app.get('/ready', context => context.json(handler.health(), handler.ready ? 200 : 503));

serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }, info => console.log(`listening ${info.port}`));
