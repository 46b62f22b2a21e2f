import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { createMcpHandler, type SessionStore } from 'mcp-sdk-anypod/server';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import { createWhoAmIServer } from './server.js';

/** The HTTP endpoint of a pod. */
export interface Endpoint {
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>;
  close(): Promise<void>;
}

/** This package: the sessions are in the store, and any pod that shares it serves them. */
export function anypodEndpoint(pod: string, sessionStore: SessionStore): Endpoint {
  const handler = createMcpHandler(({ recovering }) => createWhoAmIServer(pod, recovering), { sessionStore });
  return { handle: (req, res) => handler.node(req, res), close: () => handler.close({ drainMs: 1000 }) };
}

/** The stock SDK, wired as in its examples: the sessions are in a map of this pod only. */
export function stockEndpoint(pod: string): Endpoint {
  const transports = new Map<string, StreamableHTTPServerTransport>();

  async function open(): Promise<StreamableHTTPServerTransport> {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: sessionId => void transports.set(sessionId, transport)
    });
    transport.onclose = () => {
      if (transport.sessionId) transports.delete(transport.sessionId);
    };
    await createWhoAmIServer(pod, false).connect(transport);
    return transport;
  }

  return {
    async handle(req, res) {
      const sessionId = req.headers['mcp-session-id'];
      const body = req.method === 'POST' ? await json(req) : undefined;
      const known = typeof sessionId === 'string' ? transports.get(sessionId) : undefined;
      const transport = known ?? (!sessionId && isInitializeRequest(body) ? await open() : undefined);
      if (transport) return transport.handleRequest(req, res, body);
      const error = { code: -32000, message: 'Bad Request: No valid session ID provided' };
      res.writeHead(400, { 'content-type': 'application/json' });
      res.end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
    },
    async close() {
      await Promise.all([...transports.values()].map(transport => transport.close()));
    }
  };
}

export interface Listener {
  readonly port: number;
  /** Ends like a pod in a deploy: it accepts no new connections and finishes requests in flight. */
  readonly stop: () => Promise<void>;
  /** Ends like a pod in a crash: every connection drops, and the endpoint is not notified. */
  readonly kill: () => Promise<void>;
}

/** Serves an endpoint on a free port of 127.0.0.1. */
export async function listen(endpoint: Endpoint): Promise<Listener> {
  const server = createServer((req, res) => void endpoint.handle(req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const closed = once(server, 'close');
  const end = async (graceful: boolean) => {
    server.close();
    if (graceful) await endpoint.close();
    server.closeAllConnections();
    await closed;
  };
  return { port: (server.address() as AddressInfo).port, stop: () => end(true), kill: () => end(false) };
}
