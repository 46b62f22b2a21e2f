/** What the other examples in this folder serve: one server for both protocol eras, with sessions in Redis. */
import { acceptedContent, inputRequired, McpServer } from '@modelcontextprotocol/server';
import { Redis } from 'ioredis';
import { createMcpHandler, RedisEventStore, RedisSessionStore, sessionState } from 'mcp-server-anypod';
import * as z from 'zod/v4';

export const port = Number(process.env.PORT ?? 3000);
export const redis = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379', {
  enableAutoPipelining: true,
  socketTimeout: 5000
});
redis.on('error', error => console.error(`Redis: ${error.message}`));
export const sessionStore = new RedisSessionStore({ redis });

export const handler = createMcpHandler(makeServer, {
  sessionStore,
  eventStore: new RedisEventStore({ redis }),
  onerror: error => console.error(error.message)
});

// For both eras: Kubernetes sends SIGTERM, calls in flight finish, subscriptions end with their result.
process.once('SIGTERM', () => void handler.close({ drainMs: 5000 }).then(() => process.exit()));

const answer = z.object({ confirm: z.boolean() });
export const MENU = 'shop://menu';

export function makeServer(): McpServer {
  const capabilities = { tools: {}, resources: { subscribe: true, listChanged: true } };
  const server = new McpServer({ name: 'shop', version: '1.0.0' }, { capabilities });

  server.registerTool('whoami', { description: 'Which pod answers?' }, () => text(`pod ${process.pid}`));

  // Written once: a 2026 client sends its answer with the next call, a 2025 client is asked in its session.
  server.registerTool('order', { inputSchema: z.object({ what: z.string() }) }, ({ what }, ctx) => {
    const given = acceptedContent(ctx.mcpReq.inputResponses, 'sure', answer);
    if (given) return text(`${given.confirm ? 'Ordered' : 'Did not order'}: ${what}`);
    return inputRequired({
      inputRequests: {
        sure: inputRequired.elicit({
          message: `Order ${what}? (pod ${process.pid})`,
          requestedSchema: { type: 'object', properties: { confirm: { type: 'boolean' } }, required: ['confirm'] }
        })
      }
    });
  });

  server.registerTool('count', { description: 'Counts the calls of this session' }, async ctx => {
    const count = await sessionState<number>(ctx).update(old => (old ?? 0) + 1);
    return text(String(count));
  });

  server.registerResource('menu', MENU, {}, uri => ({ contents: [{ uri: uri.href, text: 'soup' }] }));
  // McpServer has no handlers for subscriptions of 2025 clients.
  server.server.setRequestHandler('resources/subscribe', () => ({}));
  server.server.setRequestHandler('resources/unsubscribe', () => ({}));
  return server;
}

function text(content: string): { content: { type: 'text'; text: string }[] } {
  return { content: [{ type: 'text', text: content }] };
}
