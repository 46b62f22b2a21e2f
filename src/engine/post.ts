import type { InitializeRequest, JSONRPCMessage, MessageExtraInfo, RequestId } from '../sdkTypes.js';
import { BusMessageTooLargeError } from '../errors.js';
import { type EventSink, type Exchange, type Reply, waitsOf } from './http/exchange.js';
import type { Admitted } from './session/lookup.js';
import type { ParsedRequest } from './http/parseRequest.js';
import { isRequest } from './http/jsonRpc.js';
import type { EngineParts } from './parts.js';
import {
  emptyReply,
  errorReply,
  eventStreamReply,
  INVALID_PARAMS,
  PARSE_ERROR,
  payloadTooLarge,
  serviceUnavailable,
  sessionNotFound
} from './http/replies.js';
import type { Routing } from './pods/routing.js';
import { ObservedRequest } from '../events/observed.js';
import { protocolVersionOf } from './http/protocolVersion.js';
import { understandsPriming } from './streams/sse.js';
import type { RequestStream } from './streams/openRequests.js';

/**
 * Answers a POST: passes its messages to the server here or to other pods, and replies with the server's answers.
 * @param admitted - the result of the session look-up
 */
export async function answerPost(
  host: EngineParts,
  exchange: Exchange,
  { messages, initialize }: ParsedRequest & { kind: 'post' },
  admitted: Admitted
): Promise<Reply> {
  try {
    // close() may have run while the session was looked up.
    if (initialize && host.closed) return sessionNotFound();
    const { lifecycle, routing } = host;
    const refusal = initialize
      ? await lifecycle.open(exchange, initialize, messages.length)
      : ((await lifecycle.admit(exchange, admitted)) ?? (await lifecycle.recordHandshake(exchange, messages)));
    if (refusal) return refusal;
    const challenge = host.scopeChallenge && (await host.scopeChallenge(messages, exchange));
    if (challenge) return challenge;
    const inbound = routing && !messages.every(isRequest) ? await route(host, exchange, routing, messages) : messages;
    if (!Array.isArray(inbound)) return inbound;
    // close() may have run while the store, the bus or the application's callback was awaited.
    if (host.closed) return sessionNotFound();

    if (!messages.some(isRequest)) {
      const extra = host.options.dialect.extraOf(exchange, host.state);
      for (const message of inbound) host.dispatch(message, extra);
      return emptyReply(202);
    }
    // Not awaited here: an error of the server is not a parse error.
    if (host.options.enableJsonResponse) return answerInJson(host, exchange, inbound);

    const sink = exchange.openEventStream();
    const dispatched = await dispatch(host, exchange, inbound, sink, initialize);
    return dispatched ? eventStreamReply(sink, host.sessionId) : sessionNotFound();
  } catch (error) {
    host.report(error as Error);
    return errorReply(400, PARSE_ERROR, 'Parse error', { data: String(error) });
  }
}

/** Sends messages for other pods to them. @returns the messages for the server here, or an error reply */
async function route(
  host: EngineParts,
  exchange: Exchange,
  routing: Routing,
  messages: JSONRPCMessage[]
): Promise<JSONRPCMessage[] | Reply> {
  const waits = waitsOf(exchange, host.options);
  try {
    // Started in order and awaited together, so a batch waits only once for a bus that does not answer.
    const routed = await Promise.all(
      messages.map(async message => (isRequest(message) ? message : routing.inbound(message, waits)))
    );
    return routed.filter(own => own !== undefined);
  } catch (error) {
    host.report(error as Error);
    if (error instanceof BusMessageTooLargeError) {
      const { maxBusMessageBytes } = host.options;
      return payloadTooLarge(`A message to another pod must not exceed ${maxBusMessageBytes} bytes`);
    }
    return serviceUnavailable('The message could not be routed', 'bus-unavailable');
  }
}

function answerInJson(host: EngineParts, exchange: Exchange, messages: JSONRPCMessage[]): Promise<Reply> {
  return new Promise<Reply>(resolve => {
    const stream = host.streams.openRequestStream(messages, resolve);
    keepRunning(exchange, stream);
    emit(host, exchange, messages, stream);
  });
}

/** Lets the runtime run until the requests are answered, also if the client hangs up. */
function keepRunning(exchange: Exchange, stream: RequestStream): void {
  exchange.waitFor?.(new Promise<void>(resolve => (stream.onreleased = resolve)));
}

/** @returns false if close() ran before the server received any message */
async function dispatch(
  host: EngineParts,
  exchange: Exchange,
  messages: JSONRPCMessage[],
  sink: EventSink,
  initialize: InitializeRequest | undefined
): Promise<boolean> {
  const { streams } = host;
  const version = initialize?.params.protocolVersion ?? protocolVersionOf(exchange);
  const isKnown = host.options.dialect.primesUnknownVersions || host.supportedVersions.includes(version);
  const canResume = streams.log !== undefined && isKnown && understandsPriming(version);
  const stream = streams.openRequestStream(messages, sink, canResume);
  keepRunning(exchange, stream);
  try {
    const primed = canResume ? streams.sendPrimingEvent(stream, waitsOf(exchange, host.options)) : undefined;
    if (primed) await primed;
    if (host.closed) {
      streams.release(stream);
      return false;
    }
    // A client without a cursor cannot resume the stream.
    emit(host, exchange, messages, stream, canResume && stream.resumable);
    return true;
  } catch (error) {
    // Release now: an answer to another request of the batch must fail, because its stream is gone.
    streams.release(stream);
    throw error;
  }
}

/** Passes the messages to the server. Each request gets the id of its open request. */
function emit(
  host: EngineParts,
  exchange: Exchange,
  messages: JSONRPCMessage[],
  stream: RequestStream,
  canResume = false
): void {
  const extra = host.options.dialect.extraOf(exchange, host.state);
  let next = 0;
  for (const message of messages) {
    const request = isRequest(message) ? stream.requests[next++] : undefined;
    if (!request) {
      host.dispatch(message, extra);
      continue;
    }
    request.state = 'asked';
    const problem = host.problemOf(request.message);
    if (problem !== undefined) {
      const error = { code: INVALID_PARAMS, message: problem };
      host.send({ jsonrpc: '2.0', id: request.id, error }).catch(host.report);
      continue;
    }
    request.onresult = host.onresult(request.message, waitsOf(exchange, host.options));
    const inbound = request.id === request.message.id ? request.message : { ...request.message, id: request.id };
    // Each message of a batch gets its own object.
    const own = canResume && messages.length > 1 ? { ...extra } : extra;
    const given = canResume ? withPolling(own, host, request.id) : extra;
    request.observed = ObservedRequest.begin('in', request.message, host.sessionId, exchange.observed);
    if (request.observed?.within) request.observed.within(() => host.dispatch(inbound, given));
    else host.dispatch(inbound, given);
  }
}

/** Sets the fields on the object itself: a copy with more fields costs a microsecond. */
function withPolling(extra: MessageExtraInfo, host: EngineParts, requestId: RequestId): MessageExtraInfo {
  extra.closeSSEStream = () => host.closeSSEStream(requestId);
  extra.closeStandaloneSSEStream = () => host.closeStandaloneSSEStream();
  return extra;
}
