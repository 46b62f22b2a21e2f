import type { JSONRPCMessage, JSONRPCRequest, RequestId } from '../../sdkTypes.js';
import type { Reply } from '../http/exchange.js';
import { isRequest, type Response } from '../http/jsonRpc.js';
import { emptyReply, jsonReply } from '../http/replies.js';
import type { ReportError } from '../../report.js';
import type { Stream } from './connection.js';
import type { LoggedStream } from './eventLog.js';
import type { ObservedRequest } from '../../events/observed.js';
import { inJson } from './json.js';

/** Cancelled requests that are remembered after their streams are gone. */
const MAX_REMEMBERED = 1000;

/** Streams that are remembered after they ended while their client was away. */
const MAX_UNREAD = 10;

/** The stream that answers one POST. It ends when each of its requests has its response. */
export interface RequestStream extends Stream {
  readonly requests: OpenRequest[];
  unanswered: number;
  /** Whether the client has a cursor on this stream, so that it can get a response from the log. */
  resumable: boolean;
  /** Whether the client has resumed the stream on another pod. */
  isOnOtherPod: boolean;
  /** Called when the stream and its requests are forgotten: each has its answer, or gets none. */
  onreleased?: () => void;
  /** In JSON mode: answers the exchange. */
  reply: ((reply: Reply) => void) | undefined;
}

/** A request of the client that the server has not answered yet. */
export interface OpenRequest {
  /** The request's id for the server: the client's id, or a substitute while that id is in use. */
  readonly id: RequestId;
  readonly message: JSONRPCRequest;
  readonly stream: RequestStream;
  /** 'asked' after the server has received the request, 'cancelled' after it has then received the cancellation. */
  state: 'open' | 'asked' | 'cancelled';
  response: Response | undefined;
  /** Whether a response has arrived. It may not be in the log yet. */
  answered: boolean;
  /** Runs before a successful result reaches the client, so that its changes are stored first. */
  onresult: ((result: Record<string, unknown>) => void | Promise<void>) | undefined;
  /** Set if somebody listens to requests. */
  observed: ObservedRequest | undefined;
}

/** The requests of streams that have not ended, by their id for the server. */
export class OpenRequests {
  /** Absent while there are none: a pod holds many sessions, and few have requests at a time. */
  #requests: Map<RequestId, OpenRequest> | undefined;
  #substitutes = 0;
  /** Absent until a cancelled request has lost its stream. */
  #remembered: Set<RequestId> | undefined;
  /** The streams that ended while their client was away. Absent until there is one. */
  #unread: LoggedStream[] | undefined;

  get(id: RequestId): OpenRequest | undefined {
    return this.#requests?.get(id);
  }

  get size(): number {
    return this.#requests?.size ?? 0;
  }

  get streams(): Set<RequestStream> {
    return new Set([...(this.#requests?.values() ?? [])].map(({ stream }) => stream));
  }

  /** The logged streams that the client may resume: open ones, and those that ended while it was away. */
  get logged(): LoggedStream[] {
    return [...this.streams, ...(this.#unread ?? [])].filter(({ lastEventId }) => lastEventId !== undefined);
  }

  /** The number of requests that the server has not answered yet. */
  get awaited(): number {
    let count = 0;
    for (const request of this.#requests?.values() ?? []) if (isAwaited(request)) count++;
    return count;
  }

  /** Opens a stream that answers these requests. */
  open(messages: JSONRPCRequest[], streamId: string, reply: RequestStream['reply']): RequestStream {
    const stream: RequestStream = {
      id: streamId,
      connection: undefined,
      requests: [],
      unanswered: messages.length,
      resumable: false,
      isOnOtherPod: false,
      reply
    };
    const requests = (this.#requests ??= new Map<RequestId, OpenRequest>());
    for (const message of messages) {
      const id = requests.has(message.id) ? this.#substituteIdFor(message.id) : message.id;
      const request: OpenRequest = {
        id,
        message,
        stream,
        state: 'open',
        response: undefined,
        answered: false,
        onresult: undefined,
        observed: undefined
      };
      requests.set(id, request);
      stream.requests.push(request);
    }
    return stream;
  }

  /** Forgets a stream and its requests. */
  release(stream: RequestStream): void {
    for (const request of stream.requests) {
      // A stream that was resumed as it ended is released twice. Its ids may belong to another stream by then.
      if (this.get(request.id) === request) this.#requests?.delete(request.id);
      if (request.state === 'cancelled') this.#remember(request.id);
      request.observed?.end('closed');
    }
    if (this.#requests?.size === 0) this.#requests = undefined;
    if (stream.resumable && !stream.connection) this.#keepUnread(stream);
    stream.onreleased?.();
  }

  /** Whether this is a notification for a cancelled request whose stream is gone. A server may still send it. */
  isForCancelledRequest(message: JSONRPCMessage, requestId: RequestId): boolean {
    return 'method' in message && !isRequest(message) && (this.#remembered?.has(requestId) ?? false);
  }

  /** The id and the last event of the stream are enough to find it again. */
  #keepUnread({ id, lastEventId }: RequestStream): void {
    if (lastEventId === undefined) return;
    const unread = (this.#unread ??= []);
    if (unread.some(stream => stream.id === id)) return;
    unread.push({ id, lastEventId });
    if (unread.length > MAX_UNREAD) unread.shift();
  }

  #remember(id: RequestId): void {
    const remembered = (this.#remembered ??= new Set());
    remembered.add(id);
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.values().next().value as RequestId);
  }

  /** JSON-RPC ids must be unique while in flight. If a client reuses one, each request gets its own answer. */
  #substituteIdFor(id: RequestId): string {
    let standIn: string;
    // A client may choose such an id itself.
    do standIn = `${String(id)}#${++this.#substitutes}`;
    while (this.get(standIn));
    return standIn;
  }
}

/** Whether the server will send no more answers on this stream. */
export function isOver(stream: RequestStream): boolean {
  return !stream.requests.some(isAwaited);
}

/** Whether every request that gets a response has one. */
export function isAnswered(stream: RequestStream): boolean {
  return stream.requests.every(({ answered, state }) => answered || state === 'cancelled');
}

/**
 * The answers of a stream as one JSON body; 202 if all its requests were cancelled. An answer that cannot be written as JSON
 * is reported and replaced by an error.
 */
export function answersInJson(stream: RequestStream, sessionId: string | undefined, report: ReportError): Reply {
  try {
    return jsonOf(stream, sessionId);
  } catch {
    for (const request of stream.requests) request.response &&= inJson(request.response, report).response;
    return jsonOf(stream, sessionId);
  }
}

function jsonOf({ requests }: RequestStream, sessionId: string | undefined): Reply {
  const answers = requests.flatMap(({ response }) => response ?? []);
  if (answers.length === 0) return emptyReply(202);
  return jsonReply(requests.length === 1 ? answers[0] : answers, sessionId);
}

/** The SDK's servers do not answer cancelled requests. */
function isAwaited({ response, state }: OpenRequest): boolean {
  return response === undefined && state !== 'cancelled';
}
