import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { getRequestListener } from '@hono/node-server';
import type { z as zod } from 'zod';
import type { NodeHandle } from './servers.js';

interface Tmcp {
  McpServer: new (
    info: object,
    options: object
  ) => { tool(definition: object, run: (input: { text: string }) => unknown): void };
}
interface TmcpHttp {
  HttpTransport: new (server: object, options: object) => { respond(request: Request): Promise<Response | null> };
}
type Class = new (...args: never[]) => object;

/** The echo tool on `tmcp`, in memory or on Redis, behind the adapter for web-standard handlers that costs least. */
export async function tmcp(directory: string, redisUrl: string | undefined): Promise<NodeHandle> {
  const { McpServer } = await load<Tmcp>(directory, 'tmcp');
  const { HttpTransport } = await load<TmcpHttp>(directory, '@tmcp/transport-http');
  const { ZodJsonSchemaAdapter } = await load<{ ZodJsonSchemaAdapter: Class }>(directory, '@tmcp/adapter-zod');
  const { z } = await load<{ z: typeof zod }>(directory, 'zod');
  const sessions = await load<Record<string, new (url: string) => object>>(directory, '@tmcp/session-manager-redis');
  const server = new McpServer(
    { name: 'echo', version: '1' },
    { adapter: new ZodJsonSchemaAdapter(), capabilities: { tools: {} } }
  );
  const schema = z.object({ text: z.string() });
  server.tool({ name: 'echo', description: '', schema }, ({ text }) => ({ content: [{ type: 'text', text }] }));
  const onRedis = redisUrl !== undefined && {
    sessionManager: {
      streams: new sessions.RedisStreamSessionManager!(redisUrl),
      info: new sessions.RedisInfoSessionManager!(redisUrl)
    },
    subscriptionManager: new sessions.RedisSubscriptionManager!(redisUrl)
  };
  const transport = new HttpTransport(server, { path: '/mcp', ...onRedis });
  const listen = getRequestListener(
    async request => (await transport.respond(request)) ?? new Response(null, { status: 404 })
  );
  return listen;
}

/** A package of the folder into which the bench installed the peers. */
async function load<T>(directory: string, name: string): Promise<T> {
  const anchor = createRequire(join(directory, 'package.json'));
  const manifest = anchor(join(directory, 'node_modules', name, 'package.json')) as {
    exports?: { '.'?: { import?: string | { default: string }; default?: string } | string };
    main?: string;
  };
  const entry = manifest.exports?.['.'];
  const file = typeof entry === 'string' ? entry : (entry?.default ?? targetOf(entry?.import) ?? manifest.main);
  return (await import(pathToFileURL(join(directory, 'node_modules', name, file!)).href)) as T;
}

function targetOf(entry: string | { default: string } | undefined): string | undefined {
  return typeof entry === 'object' ? entry.default : entry;
}
