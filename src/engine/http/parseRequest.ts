import { performance } from '../../timers.js';
import { isInitializeRequest, type InitializeRequest, type JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { MAX_BATCH_SIZE, MAX_NESTING, requestBodyTooLargeMessage } from './requestLimits.js';
import { isJsonContentType } from './mediaType.js';
import type { Exchange, Reply } from './exchange.js';
import type { ReportError } from '../../report.js';
import { isRequest, parseMessage } from './jsonRpc.js';
import { isDeeperThan } from './nesting.js';
import type { ResolvedOptions } from '../options.js';
import { errorReply, INVALID_REQUEST, PARSE_ERROR, TRANSPORT_ERROR } from './replies.js';

/** The content of a request after all checks that do not need the session. */
export type Intake =
  | { readonly kind: 'post'; readonly messages: JSONRPCMessage[]; readonly initialize: InitializeRequest | undefined }
  /** `arrivedAt`: by `performance.now()`. */
  | { readonly kind: 'get'; readonly arrivedAt: number }
  | { readonly kind: 'delete' };

/** Parses a request and makes all checks that do not need the session. */
export function takeIn(
  exchange: Exchange,
  options: ResolvedOptions,
  report: ReportError
): Intake | Reply | Promise<Intake | Reply> {
  const refuse = (status: number, code: number, message: string, headers?: Record<string, string>): Reply => {
    report(new Error(message));
    return errorReply(status, code, message, { headers });
  };

  const rebinding = rebindingProblem(exchange, options);
  if (rebinding !== undefined) return refuse(403, TRANSPORT_ERROR, rebinding);

  switch (exchange.method) {
    case 'POST':
      return takeInPost(exchange, options, refuse);
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

async function takeInPost(
  exchange: Exchange,
  options: ResolvedOptions,
  refuse: (status: number, code: number, message: string) => Reply
): Promise<Intake | Reply> {
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
  return { kind: 'post', messages, initialize: messages.find(isInitialize) as InitializeRequest | undefined };
}

/**
 * Whether the session store keeps a message, or other pods may get it: every message except requests after the
 * handshake.
 */
function isKept(message: JSONRPCMessage): boolean {
  return !isRequest(message) || message.method === 'initialize';
}

/** This check runs for every message and the schema is slow, so the method is compared first. */
function isInitialize(message: JSONRPCMessage): boolean {
  return 'method' in message && message.method === 'initialize' && isInitializeRequest(message);
}
