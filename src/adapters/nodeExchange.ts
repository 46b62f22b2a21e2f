import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import type { RequestInfo } from 'mcp-sdk-upstream/types.js';
import type { BodyRead, EventSink, Exchange, Reply } from '../engine/http/exchange.js';
import type { ReportError } from '../report.js';
import { LazyRequestInfo, type RequestSource } from '../engine/http/requestInfo.js';
import { endOfTurn, firstChunk, NodeEventSink } from './nodeEventSink.js';
import { clearTimeout, setTimeout } from '../timers.js';

/** How long an answered client may go on sending a body that nobody reads. */
const UNREAD_BODY_MS = 500;

/** Node keeps the first of these where a header is repeated; the Fetch standard joins them all. */
const FIRST_WINS = new Set(['content-type', 'host']);

/** A request of Node's HTTP server as the engine sees it. */
export class NodeExchange implements Exchange, RequestSource {
  readonly req: IncomingMessage & { auth?: AuthInfo };
  readonly res: ServerResponse;
  readonly parsedBody: unknown;

  constructor(req: IncomingMessage & { auth?: AuthInfo }, res: ServerResponse, parsedBody: unknown) {
    this.req = req;
    this.res = res;
    this.parsedBody = parsedBody;
  }

  get method(): string {
    return this.req.method ?? 'GET';
  }

  get authInfo(): AuthInfo | undefined {
    return this.req.auth;
  }

  get requestInfo(): LazyRequestInfo {
    return new LazyRequestInfo(this);
  }

  get gone(): boolean {
    // The response of HTTP/2 does not tell.
    return this.res.destroyed || this.req.aborted;
  }

  readHeaders(): RequestInfo['headers'] {
    return Object.fromEntries(fetchHeaders(this.req).entries());
  }

  readUrl(): URL {
    return absoluteUrl(this.req);
  }

  header(name: string): string | null {
    const value = this.req.headers[name];
    if (value === undefined) return null;
    if (typeof value !== 'string' || FIRST_WINS.has(name)) return joinedHeader(this.req, name);
    // Joined by Node with an empty one at the end.
    return value.endsWith(' ') ? value.trimEnd() : value;
  }

  readBody(maxBytes: number): Promise<BodyRead> {
    return readBody(this.req, maxBytes);
  }

  openEventStream(): EventSink {
    return new NodeEventSink(this.res);
  }
}

/** Lets the engine answer, and writes what it answers. Resolves when the response is complete. */
export async function answerExchange(
  exchange: NodeExchange,
  handle: (exchange: NodeExchange) => Promise<Reply>,
  report: ReportError
): Promise<void> {
  const { req, res } = exchange;
  try {
    if (!isCommonTarget(req) && !isValidTarget(req)) {
      res.writeHead(400).end();
      return;
    }
    let reply: Reply;
    try {
      reply = await handle(exchange);
    } catch (error) {
      report(error as Error);
      res.writeHead((error as Error)?.name === 'TimeoutError' ? 504 : 500).end();
      return;
    }
    if (reply.body instanceof NodeEventSink) {
      await reply.body.open(reply.status, reply.headers);
    } else {
      await endOfTurn();
      sendBody(res, reply.status, reply.headers, reply.body as string | null);
    }
  } catch (error) {
    // Somebody else has answered already (a time-out middleware, say), or the headers cannot be sent.
    report(error as Error);
    res.destroy();
  } finally {
    if (!req.complete) limitUnreadBody(req);
  }
}

function sendBody(res: ServerResponse, status: number, headers: Record<string, string>, body: string | null): void {
  if (body === null) {
    res.writeHead(status, headers).end();
    return;
  }
  const length = Buffer.byteLength(body);
  res.writeHead(status, { ...headers, 'content-length': length });
  res.end(firstChunk(body, length), 'latin1');
}

/** Node reads and drops what is left of an answered request's body: for a while, not for ever. */
function limitUnreadBody(req: IncomingMessage): void {
  const timer = setTimeout(() => {
    // Where no socket is behind it (in tests, say), there is nothing to cut.
    if (!req.complete) (req.socket as Partial<Socket>).destroySoon?.();
  }, UNREAD_BODY_MS);
  timer.unref();
  req.once('close', () => clearTimeout(timer));
}

function readBody(req: IncomingMessage & { rawBody?: unknown }, maxBytes: number): Promise<BodyRead> {
  if (Number(req.headers['content-length']) > maxBytes) return Promise.resolve({ tooLarge: true });
  // Serverless hosts read the body themselves and leave it here.
  if (Buffer.isBuffer(req.rawBody)) return Promise.resolve(decoded([req.rawBody], maxBytes));
  if (req.readableEnded) return Promise.resolve({ tooLarge: false, text: '' });

  return new Promise((resolve, reject) => {
    // The listeners stay, because taking them away costs more; all that they hold is let go once this is settled.
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
/** Names whose last label is no number, and IPv4 addresses: hosts that need no parser to be known as valid. */
const COMMON_HOST = new RegExp(
  `^(?:(?!.*xn--)(?:[a-z0-9_-]+\\.)*[a-z][a-z0-9_-]*|(?:${OCTET}\\.){3}${OCTET})(?::[1-5]?\\d{1,4})?$`
);
const COMMON_PATH = /^\/[\w\-/]*$/;
/** The SDK takes a host of these characters at its word: it need not be how the URL spells it (`127.1`). */
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

/** @throws TypeError where host and path make no URL, or one with another host */
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
