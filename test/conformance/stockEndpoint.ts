import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { McpServer } from 'mcp-sdk-upstream/server/mcp.js';
import { type EventStore, StreamableHTTPServerTransport } from 'mcp-sdk-upstream/server/streamableHttp.js';
import { isInitializeRequest } from 'mcp-sdk-upstream/types.js';
import type { Endpoint } from './endpoint.js';
import { ProcessEventStore } from './eventStore.js';

/** The stock SDK as its examples wire it. */
export function stockEndpoint(createServer: () => McpServer): Endpoint {
  return sessionsInProcess(
    options => new StreamableHTTPServerTransport(options),
    transport => createServer().connect(transport)
  );
}

/** A transport of either version of the SDK. */
interface SessionTransport {
  readonly sessionId?: string | undefined;
  onclose?: (() => void) | undefined;
  handleRequest(req: IncomingMessage, res: ServerResponse, body?: unknown): Promise<void>;
  close(): Promise<void>;
}

interface SessionOptions {
  sessionIdGenerator: () => string;
  eventStore: EventStore;
  onsessioninitialized: (sessionId: string) => void;
}

/**
 * A map of transports in this process, one for each session; but a session that is not in it is answered 404, as the
 * specification asks.
 */
export function sessionsInProcess<T extends SessionTransport>(
  newTransport: (options: SessionOptions) => T,
  connect: (transport: T) => Promise<void>
): Endpoint {
  const transports = new Map<string, T>();
  const eventStore = new ProcessEventStore();

  async function open(): Promise<T> {
    const transport = newTransport({
      sessionIdGenerator: randomUUID,
      eventStore,
      onsessioninitialized: id => void transports.set(id, transport)
    });
    transport.onclose = () => {
      if (transport.sessionId) transports.delete(transport.sessionId);
    };
    await connect(transport);
    return transport;
  }

  return {
    async handle(req, res, body) {
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
