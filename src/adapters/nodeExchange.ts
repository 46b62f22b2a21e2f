import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { AuthInfo } from '../sdkTypes.js';
import type { BodyRead, EventSink, Exchange, Reply } from '../engine/http/exchange.js';
import type { ReportError } from '../report.js';
import { ObservedExchange } from '../events/observed.js';
import { endOfTurn } from './firstWrite.js';
import { firstChunk, limitUnreadAnswer, type NodeAnswer, NodeEventSink, writeHead } from './nodeEventSink.js';
import { clearTimeout, setTimeout } from '../timers.js';

/** How long a client may continue to send its body after the answer. */
const UNREAD_BODY_MS = 500;

/** If one of these headers is repeated, Node keeps the first value. The Fetch standard joins all values. */
const FIRST_WINS = new Set(['content-type', 'host']);

type Request = IncomingMessage & { auth?: AuthInfo; body?: unknown; rawBody?: unknown; stream?: ServerHttp2Stream };

/** A request of Node's HTTP server as the engine sees it. */
export class NodeExchange implements Exchange, NodeAnswer {
  readonly req: Request;
  readonly res: ServerResponse;
  readonly report: ReportError;
  #parsedBody: unknown;
  observed: ObservedExchange | undefined;
  #sink: NodeEventSink | undefined;

  constructor(req: Request, res: ServerResponse, parsedBody: unknown, report: ReportError) {
    this.req = req;
    this.res = res;
    this.#parsedBody = parsedBody;
    this.report = report;
  }

  /** Passed by the caller, or set by a middleware that has read the stream. */
  get parsedBody(): unknown {
    if (this.#parsedBody !== undefined || !this.req.readableEnded) return this.#parsedBody;
    return isText(this.req.body) ? undefined : this.req.body;
  }

  set parsedBody(body: unknown) {
    this.#parsedBody = body;
  }

  get method(): string {
    return this.req.method ?? 'GET';
  }

  get authInfo(): AuthInfo | undefined {
    return this.req.auth;
  }

  get gone(): boolean {
    // An HTTP/2 response does not have `destroyed`.
    return this.res.destroyed || this.req.aborted || this.req.stream?.destroyed === true;
  }

  readHeaders(): Record<string, string> {
    return Object.fromEntries(fetchHeaders(this.req).entries());
  }

  readUrl(): URL {
    return absoluteUrl(this.req);
  }

  readSignal(): AbortSignal {
    const left = new AbortController();
    if (this.gone) left.abort();
    this.res.once('close', () => {
      if (!this.res.writableFinished) left.abort();
    });
    return left.signal;
  }

  header(name: string): string | null {
    const value = this.req.headers[name];
    if (value === undefined) return null;
    if (typeof value !== 'string' || FIRST_WINS.has(name)) return joinedHeader(this.req, name);
    // Node joins repeated values. If the last value is empty, a space remains.
    return value.endsWith(' ') ? value.trimEnd() : value;
  }

  readBody(maxBytes: number): Promise<BodyRead> {
    return readBody(this.req, maxBytes);
  }

  openEventStream(): EventSink {
    return (this.#sink = new NodeEventSink(this));
  }

  /** Ends the opened stream if it is not the reply. */
  discardUnless(reply: Reply | undefined): void {
    if (this.#sink && reply?.body !== this.#sink) this.#sink.discard();
  }
}

/** Lets the engine answer, and writes its reply. Resolves after the response is complete. */
export async function answerExchange(exchange: NodeExchange, handle: () => Promise<Reply>): Promise<void> {
  const { req, res, report } = exchange;
  // Without a listener, an error event would end the process.
  res.on('error', report);
  if (req.httpVersionMajor >= 2) req.on('error', report);
  exchange.observed = ObservedExchange.begin(exchange);
  try {
    if (!isCommonTarget(req) && !isValidTarget(req)) return sendEmpty(exchange, 400);
    const reply = await replyOf(exchange, handle);
    if (reply.body instanceof NodeEventSink) {
      await reply.body.open(reply.status, reply.headers);
    } else {
      await endOfTurn();
      sendBody(exchange, reply.status, reply.headers, reply.body as string | null);
    }
  } catch (error) {
    // Other code has sent a response (for example a time-out middleware), or the headers are invalid.
    report(error as Error);
    if (!res.writableEnded) res.destroy();
  } finally {
    if (!req.complete) limitUnreadBody(req);
    exchange.observed?.end(res.headersSent ? res.statusCode : undefined);
  }
}

async function replyOf(exchange: NodeExchange, handle: () => Promise<Reply>): Promise<Reply> {
  let reply: Reply | undefined;
  try {
    return (reply = await (exchange.observed ? exchange.observed.answer(handle) : handle()));
  } catch (error) {
    exchange.report(error as Error);
    return { status: (error as Error)?.name === 'TimeoutError' ? 504 : 500, headers: {}, body: null };
  } finally {
    exchange.discardUnless(reply);
  }
}

function sendEmpty(exchange: NodeExchange, status: number, headers: Record<string, string> = {}): void {
  writeHead(exchange, status, headers);
  exchange.res.end();
}

function sendBody(exchange: NodeExchange, status: number, headers: Record<string, string>, body: string | null): void {
  if (body === null) return sendEmpty(exchange, status, headers);
  const length = Buffer.byteLength(body);
  headers['content-length'] = String(length);
  writeHead(exchange, status, headers);
  exchange.res.end(firstChunk(body, length), 'latin1');
  limitUnreadAnswer(exchange);
}

/** After the answer, Node reads and drops the rest of the request's body. This limits the time for it. */
function limitUnreadBody(req: Request): void {
  const timer = setTimeout(() => {
    if (req.complete) return;
    // An HTTP/2 connection carries other requests as well.
    if (req.httpVersionMajor >= 2) req.stream?.close();
    // Without a real socket (for example in tests) there is nothing to close.
    else (req.socket as Partial<Socket>).destroySoon?.();
  }, UNREAD_BODY_MS);
  timer.unref();
  req.once('close', () => clearTimeout(timer));
}

function readBody(req: Request, maxBytes: number): Promise<BodyRead> {
  if (Number(req.headers['content-length']) > maxBytes) return Promise.resolve({ tooLarge: true });
  // Serverless hosts read the body and put it here.
  if (Buffer.isBuffer(req.rawBody)) return Promise.resolve(decoded([req.rawBody], maxBytes));
  if (req.readableEnded) {
    if (isText(req.body)) return Promise.resolve(decoded([Buffer.from(req.body)], maxBytes));
    const isEmpty = req.headers['content-length'] === '0';
    return Promise.resolve(isEmpty ? { tooLarge: false, text: '' } : { tooLarge: false, wasRead: true });
  }

  return new Promise((resolve, reject) => {
    // The listeners stay, because removing them costs more. The data that they hold is released when the promise
    // settles.
    let body: { chunks: Buffer[]; bytes: number; resolve: typeof resolve; reject: typeof reject } | undefined;
    body = { chunks: [], bytes: 0, resolve, reject };
    const settle = (how: (settled: NonNullable<typeof body>) => void): void => {
      if (body) how(body);
      body = undefined;
    };
    const onclose = (): void =>
      settle(({ reject }) => reject(new Error('The client left before its request was complete')));
    req.on('data', (chunk: Buffer) => {
      if (!body) return;
      body.bytes += chunk.length;
      if (body.bytes <= maxBytes) body.chunks.push(chunk);
      else settle(({ resolve }) => resolve({ tooLarge: true }));
    });
    req.on('end', () => settle(({ resolve, chunks }) => resolve(decoded(chunks, maxBytes))));
    req.on('error', error => settle(({ reject }) => reject(error))).on('close', onclose);
    if (req.destroyed) onclose();
  });
}

/** Whether a middleware has read the body but not parsed it. */
function isText(body: unknown): body is string | Uint8Array {
  return typeof body === 'string' || body instanceof Uint8Array;
}

function decoded(chunks: Buffer[], maxBytes: number): BodyRead {
  const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  if (bytes.length > maxBytes) return { tooLarge: true };
  const text = bytes.toString('utf8');
  // The Fetch standard's decoder drops a byte order mark.
  return { tooLarge: false, text: text.charCodeAt(0) === 0xfeff ? text.slice(1) : text };
}

function joinedHeader(req: IncomingMessage, name: string): string | null {
  const values: string[] = [];
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const raw = req.rawHeaders[i] as string;
    if (raw.length === name.length && raw.toLowerCase() === name) values.push(req.rawHeaders[i + 1] as string);
  }
  return values.length > 0 ? values.join(', ') : null;
}

function fetchHeaders(req: IncomingMessage): Headers {
  const headers = new Headers();
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i] as string;
    if (!name.startsWith(':')) headers.append(name, req.rawHeaders[i + 1] as string);
  }
  return headers;
}

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
/** Names whose last label is not a number, and IPv4 addresses: these hosts are valid without parsing. */
const COMMON_HOST = new RegExp(
  `^(?:(?!.*xn--)(?:[a-z0-9_-]+\\.)*[a-z][a-z0-9_-]*|(?:${OCTET}\\.){3}${OCTET})(?::[1-5]?\\d{1,4})?$`
);
const COMMON_PATH = /^\/[\w\-/]*$/;
/** The SDK accepts any host of these characters, even if the URL parser changes its spelling (`127.1`). */
const PLAIN_HOST = /^[a-z0-9_.-]+(?::\d{4,5})?$/;

function isCommonTarget(req: IncomingMessage): boolean {
  const { host } = req.headers;
  return host !== undefined && COMMON_HOST.test(host) && COMMON_PATH.test(req.url ?? '');
}

function isValidTarget(req: IncomingMessage): boolean {
  try {
    absoluteUrl(req);
    return true;
  } catch {
    return false;
  }
}

/** @throws TypeError if host and path do not form a URL, or form one with another host */
function absoluteUrl(req: IncomingMessage): URL {
  const target = req.url ?? '';
  if (target.split('?', 1)[0]?.includes('\\')) throw new TypeError('Backslash in the request path');
  if (/^https?:\/\//.test(target)) return new URL(target);
  const host = req.headers.host ?? (req.headers[':authority'] as string | undefined);
  if (!host) throw new TypeError('No host');
  if (target !== '' && !target.startsWith('/')) throw new TypeError('No path');
  const scheme = (req.socket as { encrypted?: boolean } | null)?.encrypted ? 'https' : 'http';
  const url = new URL(`${scheme}://${host}${target}`);
  const named = host.replace(/:\d+$/, '').toLowerCase();
  if (url.hostname !== named && !PLAIN_HOST.test(host)) throw new TypeError('Invalid host');
  return url;
}
