import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { Redis } from 'ioredis';
import { createMcpHandler, type McpHandler, RedisEventStore, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { StreamableHTTPServerTransport } from 'mcp-sdk-upstream/server/streamableHttp.js';
import { isInitializeRequest } from 'mcp-sdk-upstream/types.js';
import { ProcessEventStore } from '../conformance/eventStore.js';
import { listen } from '../support/servers/listen.js';
import { Application, NOTIFIED } from './application.js';
import type { EndpointOptions } from './script.js';

/** One process, or several, that serve the application. */
export interface Endpoint {
  readonly isStock: boolean;
  /** Of each pod. */
  readonly origins: readonly string[];
  /** What was reported that should not happen. */
  readonly errors: string[];
  stop(): Promise<void>;
}

/** The options of an endpoint are the path that a request goes to. */
export function pathOf({ log, reject, json }: EndpointOptions): string {
  return `/${Number(log)}${Number(reject)}${Number(json)}`;
}

function optionsOf(req: IncomingMessage): EndpointOptions {
  const [log, reject, json] = [...(req.url ?? '').slice(1, 4)].map(flag => flag === '1');
  return { log: log === true, reject: reject === true, json: json === true };
}

/** The stock SDK as its examples wire it: one process with a map of its transports. */
export async function startStock(): Promise<Endpoint> {
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const open = async (options: EndpointOptions): Promise<StreamableHTTPServerTransport> => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      enableJsonResponse: options.json,
      eventStore: options.log ? new ProcessEventStore() : undefined,
      onsessioninitialized: id => void transports.set(id, transport)
    });
    transport.onclose = () => void transports.delete(transport.sessionId ?? '');
    await new Application(0).server.connect(transport);
    return transport;
  };
  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const sessionId = req.headers['mcp-session-id'] as string | undefined;
    if (sessionId === undefined) {
      const body = await json(req);
      if (!isInitializeRequest(body)) return refuse(res, 400, -32000, 'Bad Request: No valid session ID provided');
      return (await open(optionsOf(req))).handleRequest(req, res, body);
    }
    const transport = transports.get(sessionId);
    return transport ? transport.handleRequest(req, res) : refuse(res, 404, -32001, 'Session not found');
  };
  const { origin, stop } = await listen((req, res) => void handle(req, res));
  const stopAll = async (): Promise<void> => {
    await Promise.all([...transports.values()].map(transport => transport.close()));
    await stop();
  };
  return { isStock: true, origins: [origin], errors: [], stop: stopAll };
}

function refuse(res: ServerResponse, status: number, code: number, message: string): void {
  const body = JSON.stringify({ jsonrpc: '2.0', error: { code, message }, id: null });
  res.writeHead(status, { 'content-type': 'application/json' }).end(body);
}

/** Pods in this process: real HTTP, a real Redis, and nothing shared but that. */
export async function startPodsHere(count: number, redisUrl: string): Promise<Endpoint> {
  const pods = await Promise.all(Array.from({ length: count }, () => startPodHere(redisUrl)));
  const errors: string[] = [];
  for (const pod of pods) pod.onerror = error => void errors.push(`${error.name}: ${error.message}`);
  return {
    isStock: false,
    origins: pods.map(pod => pod.origin),
    errors,
    stop: async () => void (await Promise.all(pods.map(pod => pod.stop())))
  };
}

export interface PodHere {
  readonly origin: string;
  onerror: (error: Error) => void;
  stop(): Promise<void>;
}

/** One pod. A DELETE of `/forget/<session id>` closes that session's server, as an idle pod would. */
export async function startPodHere(redisUrl: string): Promise<PodHere> {
  const redis = new Redis(redisUrl);
  const sessionStore = new RedisSessionStore({ redis });
  const eventStore = new RedisEventStore({ redis });
  const handlers = new Map<string, McpHandler>();
  const live = new Set<Application>();
  const handlerOf = (req: IncomingMessage): McpHandler => {
    const options = optionsOf(req);
    const handler = handlers.get(pathOf(options)) ?? open(options);
    handlers.set(pathOf(options), handler);
    return handler;
  };
  const open = (options: EndpointOptions): McpHandler =>
    createMcpHandler(
      ({ requestInfo }) => {
        const application = new Application(Number(requestInfo.headers[NOTIFIED] ?? 0));
        live.add(application);
        application.server.server.onclose = () => void live.delete(application);
        return application.server;
      },
      {
        sessionStore,
        eventStore: options.log ? eventStore : undefined,
        standaloneStream: options.reject ? 'reject' : 'takeover',
        enableJsonResponse: options.json,
        onerror: error => pod.onerror(error)
      }
    );
  const forget = async (sessionId: string): Promise<void> => {
    for (const { server } of live) if (server.server.transport?.sessionId === sessionId) await server.close();
  };
  const listening = await listen((req, res) => {
    const forgotten = /^\/forget\/(.*)$/.exec(req.url ?? '')?.[1];
    void (forgotten === undefined ? handlerOf(req).node(req, res) : forget(forgotten).then(() => res.end()));
  });
  const pod: PodHere = {
    origin: listening.origin,
    onerror: () => {},
    async stop() {
      await Promise.all([...handlers.values()].map(handler => handler.close({ drainMs: 0 })));
      await listening.stop();
      redis.disconnect();
    }
  };
  return pod;
}
