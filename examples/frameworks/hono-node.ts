/**
 * Hono on Node: `PORT=3001 npx tsx examples/frameworks/hono-node.ts`. The handler gets Node's own objects, which
 * avoids the conversion to a Request and back.
 */
import { type HttpBindings, serve } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { Hono } from 'hono';
import { handler, port } from './mcp.js';

const app = new Hono<{ Bindings: HttpBindings }>();
app.all('/mcp', async ({ env }) => {
  await handler.node(env.incoming, env.outgoing);
  return RESPONSE_ALREADY_SENT;
});

serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }, info => console.log(`listening ${info.port}`));
