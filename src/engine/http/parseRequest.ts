import { performance } from '../../timers.js';
import type { InitializeRequest, JSONRPCMessage } from '../../sdkTypes.js';
import { MAX_BATCH_SIZE, MAX_NESTING, requestBodyTooLargeMessage } from './requestLimits.js';
import { isJsonContentType } from './mediaType.js';
import type { Exchange, Reply } from './exchange.js';
import { type ReportError, warnOncePerMinute } from '../../report.js';
import { isRequest, parseMessage } from './jsonRpc.js';
import { isDeeperThan } from './nesting.js';
import type { ResolvedOptions } from '../options.js';
import { errorReply, INTERNAL_ERROR, INVALID_REQUEST, PARSE_ERROR, TRANSPORT_ERROR } from './replies.js';

/** The content of a request after all checks that do not need the session. */
export type ParsedRequest =
  | { readonly kind: 'post'; readonly messages: JSONRPCMessage[]; readonly initialize: InitializeRequest | undefined }
  /** `arrivedAt`: by `performance.now()`. */
  | { readonly kind: 'get'; readonly arrivedAt: number }
  | { readonly kind: 'delete' };

/** Parses a request and makes all checks that do not need the session. */
export function parseRequest(
  exchange: Exchange,
  options: ResolvedOptions,
  report: ReportError
): ParsedRequest | Reply | Promise<ParsedRequest | Reply> {
  const refuse = (status: number, code: number, message: string, headers?: Record<string, string>): Reply => {
    report(new Error(message));
    return errorReply(status, code, message, { headers });
  };

  const rebinding = refuseRebinding(exchange, options, report);
  if (rebinding) return rebinding;

  switch (exchange.method) {
    case 'POST':
      return parsePost(exchange, options, refuse, report);
    case 'GET':
      return exchange.header('accept')?.includes('text/event-stream')
        ? { kind: 'get', arrivedAt: performance.now() }
        : refuse(406, TRANSPORT_ERROR, 'Not Acceptable: Client must accept text/event-stream');
    case 'DELETE':
      return { kind: 'delete' };
    default:
      return refuse(405, TRANSPORT_ERROR, 'Method not allowed.', { allow: 'GET, POST, DELETE' });
  }
}

/** The reply to a request whose Host or Origin is not allowed. */
export function refuseRebinding(exchange: Exchange, options: ResolvedOptions, report: ReportError): Reply | undefined {
  const problem = rebindingProblem(exchange, options);
  if (problem === undefined) return undefined;
  report(new Error(problem));
  return errorReply(403, TRANSPORT_ERROR, problem);
}

/** Checks Host and Origin, as the MCP specification's security warning requires (Streamable HTTP, DNS rebinding). */
function rebindingProblem(exchange: Exchange, options: ResolvedOptions): string | undefined {
  if (!options.enableDnsRebindingProtection) return undefined;
  const { allowedHosts = [], allowedOrigins = [] } = options;
  if (allowedHosts.length > 0) {
    const host = exchange.header('host');
    if (!host || !allowedHosts.includes(host)) return `Invalid Host header: ${host}`;
  }
  if (allowedOrigins.length > 0) {
    const origin = exchange.header('origin');
    if (origin && !allowedOrigins.includes(origin)) return `Invalid Origin header: ${origin}`;
  }
  return undefined;
}

async function parsePost(
  exchange: Exchange,
  options: ResolvedOptions,
  refuse: (status: number, code: number, message: string) => Reply,
  report: ReportError
): Promise<ParsedRequest | Reply> {
  const accept = exchange.header('accept');
  if (!accept?.includes('application/json') || !accept.includes('text/event-stream')) {
    return refuse(
      406,
      TRANSPORT_ERROR,
      'Not Acceptable: Client must accept both application/json and text/event-stream'
    );
  }
  if (!isJsonContentType(exchange.header('content-type'))) {
    return refuse(415, TRANSPORT_ERROR, 'Unsupported Media Type: Content-Type must be application/json');
  }

  let body = exchange.parsedBody;
  if (body === undefined) {
    try {
      const read = await exchange.readBody(options.maxRequestBodySize);
      if (read.tooLarge) {
        return refuse(413, TRANSPORT_ERROR, requestBodyTooLargeMessage(options.maxRequestBodySize));
      }
      if (read.wasRead) return refuseReadBody(report);
      body = JSON.parse(read.text);
    } catch {
      return refuse(400, PARSE_ERROR, 'Parse error: Invalid JSON');
    }
  }

  if (Array.isArray(body) && body.length > MAX_BATCH_SIZE) {
    return refuse(400, INVALID_REQUEST, `Invalid Request: Batch must not exceed ${MAX_BATCH_SIZE} messages`);
  }
  let messages: JSONRPCMessage[];
  try {
    messages = Array.isArray(body) ? body.map(parseMessage) : [parseMessage(body)];
  } catch {
    return refuse(400, PARSE_ERROR, 'Parse error: Invalid JSON-RPC message');
  }
  if (options.storeAccess && messages.some(message => isKept(message) && isDeeperThan(message, MAX_NESTING))) {
    return refuse(
      400,
      INVALID_REQUEST,
      `Invalid Request: Message must not be nested deeper than ${MAX_NESTING} levels`
    );
  }
  return {
    kind: 'post',
    messages,
    initialize: messages.find(options.dialect.isInitialize) as InitializeRequest | undefined
  };
}

const BODY_WAS_READ =
  'The body of the request was read before: pass the parsed body as the third argument of handler.node or handleRequest, ' +
  'or as the option parsedBody of handler.fetch';

/** A mistake of the application. To the client it would look like a mistake of its own. */
function refuseReadBody(report: ReportError): Reply {
  report(new Error(BODY_WAS_READ));
  warnOncePerMinute('ANYPOD_BODY_WAS_READ', BODY_WAS_READ);
  return errorReply(500, INTERNAL_ERROR, `Internal error: ${BODY_WAS_READ}`);
}

/**
 * Whether the session store keeps a message, or other pods may get it: every message except requests after the
 * handshake.
 */
function isKept(message: JSONRPCMessage): boolean {
  return !isRequest(message) || message.method === 'initialize';
}
