import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { StreamableHTTPServerTransport } from 'mcp-sdk-upstream/server/streamableHttp.js';
import { isInitializeRequest } from 'mcp-sdk-upstream/types.js';
import type { SessionStore } from '../../ports/sessionStore.js';
import type { EventStore } from '../../sdkTypes.js';
import { createMcpHandler } from '../../server/index.js';
import { type Reporter, reportSessions, within } from './podReport.js';
import { createWhoAmIServer } from './whoAmIServer.js';

/** The balancer of the web page numbers the exchanges with this header. */
export const EXCHANGE_HEADER = 'x-demo-exchange';

/** The HTTP endpoint of a pod. */
export interface Endpoint {
  readonly ready: boolean;
  handle(req: IncomingMessage, res: ServerResponse): Promise<void>;
  close(): Promise<void>;
}

/** The name of a pod, and who wants to know what happens there. */
export interface Observed {
  readonly pod: string;
  readonly report?: Reporter | undefined;
}

/** This package: the sessions are in the store, and any pod that shares it serves them. */
export function anypodEndpoint(
  { pod, report }: Observed,
  sessionStore: SessionStore,
  eventStore: EventStore
): Endpoint {
  const onLog = report && reportSessions(pod, report);
  const handler = createMcpHandler(({ recovering }) => createWhoAmIServer(pod, recovering), {
    sessionStore,
    eventStore,
    onLog,
    // Without onerror, errors go to onLog. The terminal shows the story alone.
    onerror: report ? undefined : () => {}
  });
  return {
    get ready() {
      return handler.ready;
    },
    handle(req, res) {
      const exchange = req.headers[EXCHANGE_HEADER];
      if (!report) return handler.node(req, res);
      return within({ pod, exchange: typeof exchange === 'string' ? exchange : undefined }, () =>
        handler.node(req, res)
      );
    },
    close: () => handler.close({ drainMs: 1000 })
  };
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
    ready: true,
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
  stop(): Promise<void>;
  /** Ends like a pod in a crash: every connection drops, and the endpoint is not notified. */
  kill(): Promise<void>;
  /** Stands still: it accepts connections and answers nothing. */
  pause(): void;
  resume(): void;
}

/** Serves an endpoint on a free port of 127.0.0.1. `GET /ready` is for the balancer. */
export async function listen(endpoint: Endpoint): Promise<Listener> {
  let resumed = Promise.resolve();
  let resume: () => void = () => {};
  const server = createServer((req, res) => {
    void resumed.then(() => {
      if (req.destroyed) return undefined;
      if (req.url === '/ready') return void res.writeHead(endpoint.ready ? 200 : 503).end();
      return endpoint.handle(req, res);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const closed = once(server, 'close');
  const end = async (graceful: boolean) => {
    resume();
    server.close();
    if (graceful) await endpoint.close();
    server.closeAllConnections();
    await closed;
  };
  return {
    port: (server.address() as AddressInfo).port,
    stop: () => end(true),
    kill: () => end(false),
    pause: () => void (resumed = new Promise(resolve => (resume = resolve))),
    resume: () => resume()
  };
}
