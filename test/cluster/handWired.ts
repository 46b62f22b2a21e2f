import { randomUUID } from 'node:crypto';
import type { RequestHandler } from 'express';
import { StreamableHTTPServerTransport, type StreamableHTTPServerTransportOptions } from 'mcp-sdk-anypod/server';
import { isInitializeRequest } from 'mcp-sdk-upstream/types.js';
import { ProbeServer, type Journal } from '../support/pods/probeServer.js';

/**
 * A map of transports as the SDK's examples write it. All that a shared store changes: a session id that this
 * process does not know gets a transport as well, and the transport finds out whether it is one.
 */
export function handWired(journal: Journal, options: StreamableHTTPServerTransportOptions): RequestHandler {
  const transports = new Map<string, Promise<StreamableHTTPServerTransport>>();

  async function connect(sessionId: string | undefined): Promise<StreamableHTTPServerTransport> {
    const transport = new StreamableHTTPServerTransport({
      ...journal.callbacks(),
      sessionIdGenerator: randomUUID,
      sessionStorageMode: 'external',
      ...options,
      onsessioninitialized: opened => void transports.set(opened, Promise.resolve(transport))
    });
    const server = new ProbeServer(journal, 'McpServer', sessionId !== undefined);
    await server.connect(transport);
    const onclose = transport.onclose;
    transport.onclose = () => {
      transports.delete(transport.sessionId ?? sessionId ?? '');
      onclose?.();
    };
    return transport;
  }

  return (req, res, next) => {
    const sessionId = req.get('mcp-session-id');
    const opens = isInitializeRequest(req.body);
    let found = sessionId === undefined ? undefined : transports.get(sessionId);
    if (!found) {
      found = connect(opens ? undefined : sessionId);
      if (sessionId !== undefined && !opens) transports.set(sessionId, found);
    }
    found
      .then(async transport => {
        await transport.handleRequest(req, res, req.body);
        // There was no such session: nothing of it stays.
        if (transport.sessionId === undefined) await transport.close();
      })
      .catch(next);
  };
}
