/** One pod of `npm run demo -- --v2`: a server of version 2 of the SDK, on an endpoint for both protocol eras. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { acceptedContent, inputRequired, McpServer } from '@modelcontextprotocol/server';
import { Redis } from 'ioredis';
import { createMcpHandler, createRequestStateCodec, RedisEventStore, RedisSessionStore } from 'mcp-server-anypod';
import * as z from 'zod/v4';

const { values: flags } = parseArgs({
  options: { name: { type: 'string', default: 'pod' }, redis: { type: 'string' }, key: { type: 'string' } }
});
const redis = new Redis(flags.redis ?? '', { lazyConnect: true, socketTimeout: 5000 });
redis.on('error', (error: Error) => console.error(`Redis: ${error.message}`));
await redis.connect();
const keyPrefix = 'mcp-demo:';
const sessionStore = new RedisSessionStore({ redis, keyPrefix });
const codec = createRequestStateCodec<{ askedBy: string }>({ keys: [flags.key ?? ''], store: sessionStore });

function makeServer(): McpServer {
  const server = new McpServer(
    { name: 'demo', version: '1' },
    { requestState: { verify: (state, ctx) => codec.verify(state, ctx) } }
  );
  server.registerTool('order', {}, async ctx => {
    const answer = acceptedContent(ctx.mcpReq.inputResponses, 'sure', z.object({ confirm: z.boolean() }));
    const askedBy = ctx.mcpReq.requestState<{ askedBy: string }>()?.askedBy;
    if (answer) return { content: [{ type: 'text', text: `asked by ${askedBy}, done by ${flags.name}` }] };
    return inputRequired({
      inputRequests: {
        sure: inputRequired.elicit({
          message: flags.name,
          requestedSchema: { type: 'object', properties: { confirm: { type: 'boolean' } }, required: ['confirm'] }
        })
      },
      requestState: await codec.mint({ askedBy: flags.name }, ctx)
    });
  });
  return server;
}

const eventStore = new RedisEventStore({ redis, keyPrefix });
const handler = createMcpHandler(makeServer, { sessionStore, eventStore, leaseMs: 2000, onerror: () => undefined });
const server = createServer((req, res) => void handler.node(req, res));
server.listen(0, '127.0.0.1', () => console.log(`listening ${(server.address() as AddressInfo).port}`));
process.once('SIGTERM', () => void handler.close({ drainMs: 1000 }).then(() => process.exit()));
