/**
 * Serves a module that handles web-standard requests, as its host would: `default.fetch`, as Bun and workers call it, or
 * functions named for their methods, as Next.js does (with the route's context as a second argument).
 */
import { createAdaptorServer } from '@hono/node-server';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';

type Handle = (request: Request, context?: unknown) => Response | Promise<Response>;
type Module = { default?: { fetch: Handle } } & Record<string, Handle | undefined>;

const module = (await import(resolve(process.argv[2]!))) as Module;
const context = { params: Promise.resolve({}) };

const server = createAdaptorServer({
  fetch: (request: Request) =>
    module.default?.fetch(request) ?? module[request.method]?.(request, context) ?? new Response(null, { status: 405 })
});
server.listen(0, '127.0.0.1', () => console.log(`listening ${(server.address() as AddressInfo).port}`));
