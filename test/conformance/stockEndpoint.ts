import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import { StreamableHTTPServerTransport } from 'mcp-sdk-upstream/server/streamableHttp.js';
import { isInitializeRequest } from 'mcp-sdk-upstream/types.js';
import type { Endpoint } from './endpoint.js';
import { ProcessEventStore } from './eventStore.js';

/**
 * The stock SDK as its examples wire it: a map of transports in this process, one for each session; but a session that
 * is not in it is answered 404, as the specification asks.
 */
export function stockEndpoint(createServer: () => McpServer): Endpoint {
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const eventStore = new ProcessEventStore();

  async function open(): Promise<StreamableHTTPServerTransport> {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore,
      onsessioninitialized: id => void transports.set(id, transport)
    });
    transport.onclose = () => {
      if (transport.sessionId) transports.delete(transport.sessionId);
    };
    await createServer().connect(transport);
    return transport;
  }

  return {
    async handle(req: IncomingMessage, res: ServerResponse, body: unknown) {
      const id = req.headers['mcp-session-id'];
      const known = typeof id === 'string' ? transports.get(id) : undefined;
      const transport = known ?? (!id && isInitializeRequest(body) ? await open() : undefined);
      if (transport) await transport.handleRequest(req, res, body);
      else if (id) refuse(res, 404, { code: -32001, message: 'Session not found' });
      else refuse(res, 400, { code: -32000, message: 'Bad Request: No valid session ID provided' });
    },
    async close() {
      await Promise.all([...transports.values()].map(transport => transport.close()));
    }
  };
}

function refuse(res: ServerResponse, status: number, error: { code: number; message: string }): void {
  res
    .writeHead(status, { 'content-type': 'application/json' })
    .end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
}
