/**
 * Hono, web-standard: Bun, Deno and workers serve the export of this file. On Node, see hono-node.ts.
 */
import { Hono } from 'hono';
import { corsHeaders } from './cors.js';
import { handler } from './mcp.js';

const app = new Hono();
app.all('/mcp', async context => {
  if (context.req.method === 'OPTIONS') return new Response(null, { status: 204, headers: corsHeaders });
  const response = await handler.fetch(context.req.raw);
  for (const [name, value] of Object.entries(corsHeaders)) response.headers.set(name, value);
  return response;
});
app.get('/ready', context => context.json(handler.health(), handler.ready ? 200 : 503));

export default app;
