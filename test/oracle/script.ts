import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import type { JSONRPCMessage, RequestId } from 'mcp-sdk-upstream/types.js';

/** What is played to a transport: its options, the server behind it, and what happens, as data. */
export interface Script {
  options?: ScriptOptions;
  /** @default 'responder' */
  server?: ServerKind;
  steps: Step[];
  /** Shows the ids of what the server asks as the client reads them. @default the server's own */
  idsOnTheWire?: true;
}

/**
 * `responder`: a bare `onmessage` that does what the message tells it to (see {@link run}).
 * `mcp`: an `McpServer` with tools. `lowLevel`: a `Server` that refuses everything but the handshake.
 */
export type ServerKind = 'responder' | 'mcp' | 'lowLevel';

export interface ScriptOptions {
  /** The session ids that are handed out: `session-1`, `session-2`..., one fixed id, or none. @default 'counted' */
  sessions?: 'counted' | 'none' | 'throwing' | { fixed: string };
  /**
   * `full` can tell the stream of an event before a replay, `minimal` cannot and throws where there is no event,
   * `lenient` is the SDK's example, which names no stream then. @default none
   */
  eventStore?: 'full' | 'minimal' | 'lenient' | 'failing' | 'failingReplay' | 'stuck';
  onsessioninitialized?: CallbackBehaviour;
  onsessionclosed?: CallbackBehaviour;
  onerror?: 'throws';
  enableJsonResponse?: boolean;
  retryInterval?: number;
  keepAliveMs?: number;
  maxRequestBodySize?: number;
  allowedHosts?: string[];
  allowedOrigins?: string[];
  enableDnsRebindingProtection?: boolean;
  storeTimeoutMs?: number;
  /** External mode only: what the session store does from the second exchange on. @default it works */
  sessionStore?: 'failing';
  /** What a second GET stream does in external mode. @default 'reject', as in memory mode and upstream */
  standaloneStream?: 'the default';
  /** Headers that a framework has set on the response before the transport sees the request (Node only). */
  presetHeaders?: Record<string, string>;
}

/** What a callback does besides being recorded. */
export type CallbackBehaviour = 'returns' | 'throws' | 'rejects' | 'takes a turn' | 'waits' | 'closes' | 'is absent';

export type Step =
  | { do: 'exchange'; request: HttpRequest; as?: string; until?: Until }
  | { do: 'send'; message: JSONRPCMessage; relatedRequestId?: RequestId }
  | { do: 'close' }
  | { do: 'closeStream'; requestId: RequestId }
  | { do: 'closeStandaloneStream' }
  | { do: 'abort'; exchange: string }
  /** Waits until so many events, or this text, have been read from an open stream. */
  | { do: 'read'; exchange: string; events?: number; text?: string }
  | { do: 'finish'; exchange: string }
  | { do: 'await'; callback: 'onsessioninitialized' | 'onsessionclosed' | 'onmessage' }
  /** Waits until so many events have been given to the event store for a stream. */
  | { do: 'await stored'; stream: string; events: number }
  | { do: 'await replays'; count: number }
  /** Goes on before the message has been dealt with. */
  | { do: 'send unawaited'; message: JSONRPCMessage; relatedRequestId?: RequestId }
  /** From here on the event store does what it is asked, and does not say so before `release`. */
  | { do: 'hold'; what: 'stores' | 'replays' }
  /** Lets the event store and the callbacks that wait go on. */
  | { do: 'release' }
  /** Records whether the promise of handleRequest has settled. */
  | { do: 'look'; exchange: string };

/**
 * When to go on with the next step. `end`: the response is complete. `open`: it is, or it is a stream, or (in
 * JSON mode) the server has the message. `sent`: at once.
 */
export type Until = 'end' | 'open' | 'sent';

export interface HttpRequest {
  method: string;
  /** @default '/mcp' */
  path?: string;
  headers: [string, string][];
  /** An array is sent in chunks, with no length declared. */
  body?: string | Uint8Array | string[];
  /** The body does not come to its end; `abort` cuts it. */
  unfinished?: true;
  /** As a body parser in front of the transport would have left it. */
  parsedBody?: unknown;
  /** As a serverless host leaves the body that it has read, on the request itself (Node only). */
  rawBody?: string;
  authInfo?: AuthInfo;
}

/** One thing that the responder does for a request, in order, without waiting unless told to. */
export type Act =
  | 'answer'
  | 'fail'
  | 'notify'
  | 'broadcast'
  | 'ask'
  | 'throw'
  | 'close'
  | 'leave'
  | 'leave standalone'
  | 'take a turn'
  | 'wait for sends';

export type Extras = {
  session?: string | null;
  version?: string | null;
  headers?: [string, string][];
  as?: string;
} & Pick<HttpRequest, 'path' | 'parsedBody' | 'rawBody' | 'unfinished' | 'authInfo'> & { until?: Until };

/** A request to the responder. It stays open when no act answers it. */
export function run(id: RequestId, ...acts: Act[]): JSONRPCMessage {
  return { jsonrpc: '2.0', id, method: 'test/run', params: { acts } };
}

export function request(id: RequestId, method: string, params: Record<string, unknown> = {}): JSONRPCMessage {
  return { jsonrpc: '2.0', id, method, params };
}

export function notification(method = 'notifications/test', params?: Record<string, unknown>): JSONRPCMessage {
  return params ? { jsonrpc: '2.0', method, params } : { jsonrpc: '2.0', method };
}

export function result(id: RequestId, value: Record<string, unknown> = {}): JSONRPCMessage {
  return { jsonrpc: '2.0', id, result: value };
}

export function initializeMessage(protocolVersion = '2025-11-25', id: RequestId = 'init'): JSONRPCMessage {
  const clientInfo = { name: 'oracle', version: '1.0.0' };
  return request(id, 'initialize', { protocolVersion, capabilities: { sampling: {}, elicitation: {} }, clientInfo });
}

export const jsonHeaders: [string, string][] = [
  ['content-type', 'application/json'],
  ['accept', 'application/json, text/event-stream']
];

export function rawPost(
  body: HttpRequest['body'],
  { session = 'session-1', version = null, headers = jsonHeaders, as, until, ...rest }: Extras = {}
): Step {
  const all: [string, string][] = [...headers, ...sessionHeaders(session, version)];
  return { do: 'exchange', as, until, request: { method: 'POST', headers: all, body, ...rest } };
}

export function post(message: unknown, extras?: Extras): Step {
  return rawPost(JSON.stringify(message), extras);
}

export function get(
  { session = 'session-1', version = null, headers = [], as = 'get', until = 'open', ...rest }: Extras = {},
  lastEventId?: string
): Step {
  const all: [string, string][] = [['accept', 'text/event-stream'], ...headers, ...sessionHeaders(session, version)];
  if (lastEventId !== undefined) all.push(['last-event-id', lastEventId]);
  return { do: 'exchange', as, until, request: { method: 'GET', headers: all, ...rest } };
}

export function del({ session = 'session-1', version = null, headers = [], as, until, ...rest }: Extras = {}): Step {
  const all: [string, string][] = [...headers, ...sessionHeaders(session, version)];
  return { do: 'exchange', as, until, request: { method: 'DELETE', headers: all, ...rest } };
}

export function bare(method: string, headers: [string, string][] = [], path?: string): Step {
  return { do: 'exchange', request: { method, path, headers } };
}

export function initialize(extras: Extras & { version?: never; protocolVersion?: string } = {}): Step {
  const { protocolVersion, ...rest } = extras;
  return post(initializeMessage(protocolVersion), { session: null, ...rest });
}

/** The handshake, as a client does it. */
export function handshake(protocolVersion?: string): Step[] {
  return [initialize({ protocolVersion }), post(notification('notifications/initialized'))];
}

function sessionHeaders(session: string | null, version: string | null): [string, string][] {
  const headers: [string, string][] = [];
  if (session !== null) headers.push(['mcp-session-id', session]);
  if (version !== null) headers.push(['mcp-protocol-version', version]);
  return headers;
}
