import { createMcpHandler } from 'mcp-sdk-anypod/server';
import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import { type AnypodOptions, openBackend } from './backend.js';
import type { Endpoint } from './endpoint.js';

/** This package's handler. */
export async function anypodEndpoint(createServer: () => McpServer, options: AnypodOptions): Promise<Endpoint> {
  const backend = await openBackend(options);
  const handler = createMcpHandler(createServer, { ...backend.options, onerror: error => console.error(error) });
  return {
    handle: (req, res, body) => handler.node(req, res, body),
    async close() {
      await handler.close({ drainMs: 0 });
      await backend.close();
    }
  };
}
