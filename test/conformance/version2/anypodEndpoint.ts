import { createMcpHandler, createRequestStateCodec, InMemorySessionStore } from '../../../src/v2/index.js';
import { type AnypodOptions, openBackend } from '../backend.js';
import type { Endpoint } from '../endpoint.js';
import { createEverythingServer } from './everythingServer.js';

/** The handler of `mcp-server-anypod`. */
export async function anypodEndpoint(options: AnypodOptions): Promise<Endpoint> {
  const backend = await openBackend(options);
  const store = backend.options.sessionStore ?? new InMemorySessionStore();
  // All pods have the same key.
  const codec = createRequestStateCodec({ keys: [new Uint8Array(32)], store });
  const handler = createMcpHandler(() => createEverythingServer({ notify: handler.notify, codec }), {
    ...backend.options,
    onerror: error => console.error(error)
  });
  return {
    handle: (req, res, body) => handler.node(req, res, body),
    async close() {
      await handler.close({ drainMs: 0 });
      await backend.close();
    }
  };
}
