/**
 * Hono, web-standard: Bun, Deno and workers serve the export of this file. On Node, see hono-node.ts.
 */
import { Hono } from 'hono';
import { handler } from './mcp.js';

const app = new Hono();
app.all('/mcp', context => handler.fetch(context.req.raw));

export default app;
