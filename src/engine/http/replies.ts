import { SessionRecordUnreadableError, SessionStoreUnavailableError } from '../../errors.js';
import type { RefusalReason } from '../../events/payloads.js';
import type { ReportError } from '../../report.js';
import type { EventSink, Reply } from './exchange.js';

/** Error codes of the transport itself; the JSON-RPC ones are those of the specification. */
export const INVALID_REQUEST = -32600;
export const INVALID_PARAMS = -32602;
export const INTERNAL_ERROR = -32603;
export const PARSE_ERROR = -32700;
export const TRANSPORT_ERROR = -32000;
export const SESSION_NOT_FOUND = -32001;

export function emptyReply(status: number): Reply {
  return { status, headers: {}, body: null };
}

/** A JSON-RPC error that does not answer a certain request (`id: null`). */
export function errorReply(
  status: number,
  code: number,
  message: string,
  {
    data,
    headers,
    refusal
  }: { data?: unknown; headers?: Record<string, string>; refusal?: RefusalReason | undefined } = {}
): Reply {
  const error = data === undefined ? { code, message } : { code, message, data };
  const reply: Reply = {
    status,
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', error, id: null })
  };
  return refusal === undefined ? reply : { ...reply, refusal };
}

/** An error reply. Its text is also reported. */
export function refuse(
  report: ReportError,
  status: number,
  code: number,
  message: string,
  refusal?: RefusalReason
): Reply {
  report(new Error(message));
  return errorReply(status, code, message, { refusal });
}

/** The reply 404 for a session that does not exist for this client. It is also reported. */
export function refuseNotFound(report: ReportError, refusal?: RefusalReason): Reply {
  report(new Error('Session not found'));
  return sessionNotFound(refusal);
}

/** @param refusal - for operators; the client gets the same reply for each reason */
export function sessionNotFound(refusal: RefusalReason = 'not-found'): Reply {
  return errorReply(404, SESSION_NOT_FOUND, 'Session not found', { refusal });
}

/** The same status, code and text as for a body that exceeds `maxRequestBodySize`. */
export function payloadTooLarge(problem: string, refusal?: RefusalReason): Reply {
  return errorReply(413, TRANSPORT_ERROR, `Payload Too Large: ${problem}`, { refusal });
}

/** 503 for a temporary failure; the session is unchanged. RFC 9110 section 15.6.4, with `Retry-After` in seconds. */
export function serviceUnavailable(message: string, refusal: RefusalReason): Reply {
  const headers = { 'retry-after': '1' };
  return errorReply(503, TRANSPORT_ERROR, `Service Unavailable: ${message}`, { headers, refusal });
}

/** The reply after the session store failed: 503, never "not found". The error is reported. */
export function storeFailure(error: unknown, report: ReportError): Reply {
  if (error instanceof SessionStoreUnavailableError) {
    report(error);
    return serviceUnavailable('Session store is not available', 'store-unavailable');
  }
  if (error instanceof SessionRecordUnreadableError) {
    report(error);
    return serviceUnavailable('Session cannot be read', 'record-unreadable');
  }
  // The application's own `principalOf` threw: only operators get the text of its error.
  report(error as Error);
  return errorReply(500, INTERNAL_ERROR, 'Internal error');
}

/**
 * RFC 6585 section 4. Not 503: balancers and clients would treat the pod as failing, but others may open sessions here.
 */
export function tooManyRequests(problem: string, retrySeconds: number, refusal: RefusalReason): Reply {
  const headers = { 'retry-after': String(retrySeconds) };
  return errorReply(429, TRANSPORT_ERROR, `Too Many Requests: ${problem}`, { headers, refusal });
}

export function jsonReply(body: unknown, sessionId: string | undefined): Reply {
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (sessionId !== undefined) headers['mcp-session-id'] = sessionId;
  return { status: 200, headers, body: JSON.stringify(body) };
}

export function eventStreamReply(sink: EventSink, sessionId: string | undefined): Reply {
  const headers: Record<string, string> = {
    'cache-control': 'no-cache, no-transform',
    connection: 'keep-alive',
    'content-type': 'text/event-stream'
  };
  if (sessionId !== undefined) headers['mcp-session-id'] = sessionId;
  headers['x-accel-buffering'] = 'no';
  return { status: 200, headers, body: sink };
}
