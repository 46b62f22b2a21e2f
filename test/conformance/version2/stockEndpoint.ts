import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import { createMcpHandler, createRequestStateCodec, isLegacyRequest } from '@modelcontextprotocol/server';
import type { Endpoint } from '../endpoint.js';
import { sessionsInProcess } from '../stockEndpoint.js';
import { createEverythingServer } from './everythingServer.js';

/** The SDK's own handler, with sessions in this process for 2025 clients, as the SDK's documents wire it. */
export function stockEndpoint(): Endpoint {
  const codec = createRequestStateCodec({ key: crypto.getRandomValues(new Uint8Array(32)) });
  const createServer = () => createEverythingServer({ notify: handler.notify, codec });
  const handler = createMcpHandler(createServer, { legacy: 'reject', onerror: error => console.error(error) });
  const serveModern = toNodeHandler(handler);
  const sessions = sessionsInProcess(
    options => new NodeStreamableHTTPServerTransport(options),
    transport => createServer().connect(transport)
  );
  return {
    async handle(req, res, body) {
      const isLegacy = await isLegacyRequest(await toWebRequest(req, body), body);
      await (isLegacy ? sessions.handle(req, res, body) : serveModern(req, res, body));
    },
    async close() {
      await Promise.all([sessions.close(), handler.close()]);
    }
  };
}
