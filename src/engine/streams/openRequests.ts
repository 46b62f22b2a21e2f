import type { JSONRPCMessage, JSONRPCRequest, RequestId } from 'mcp-sdk-upstream/types.js';
import type { Reply } from '../http/exchange.js';
import { isRequest, type Response } from '../http/jsonRpc.js';
import { emptyReply, jsonReply } from '../http/replies.js';
import type { ReportError } from '../../report.js';
import type { Stream } from './connection.js';
import type { LoggedStream } from './eventLog.js';
import { inJson } from './json.js';

/** Cancelled requests that are remembered once their streams are gone. */
const MAX_REMEMBERED = 1000;

/** Streams that are remembered after they ended while their client was away. */
const MAX_UNREAD = 10;

/** The stream that answers one POST: it ends when each of its requests has its response. */
export interface RequestStream extends Stream {
  readonly requests: OpenRequest[];
  unanswered: number;
  /** Whether the client has a cursor on this stream, so that a response can wait for it in the log. */
  resumable: boolean;
  /** Whether the client has resumed the stream on another pod. */
  moved: boolean;
  /** In JSON mode: answers the exchange. */
  reply: ((reply: Reply) => void) | undefined;
}

/** A request of the client that the server has not answered yet. */
export interface OpenRequest {
  /** What the server knows the request by: the client's id, or a stand-in while that id is taken. */
  readonly id: RequestId;
  readonly message: JSONRPCRequest;
  readonly stream: RequestStream;
  /** Whether the server has been asked, and told since that no answer is wanted any more. */
  state: 'open' | 'asked' | 'cancelled';
  response: Response | undefined;
  /** Whether a response has come, which may still be on its way to the log. */
  answered: boolean;
  /** Runs before a successful result reaches the client: what it changed is stored before it is seen. */
  onresult: ((result: Record<string, unknown>) => void | Promise<void>) | undefined;
}

/** The requests of streams that have not ended, by the id that the server knows them by. */
export class OpenRequests {
  /** Absent while there are none: a pod holds many sessions of which few are asked anything at a time. */
  #requests: Map<RequestId, OpenRequest> | undefined;
  #standIns = 0;
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

  /** The logged streams whose client may come back: those that are open, and those that ended while it was away. */
  get logged(): LoggedStream[] {
    return [...this.streams, ...(this.#unread ?? [])].filter(({ lastEventId }) => lastEventId !== undefined);
  }

  /** How many the server is to answer yet. */
  get awaited(): number {
    let count = 0;
    for (const request of this.#requests?.values() ?? []) if (isAwaited(request)) count++;
    return count;
  }

  /** A stream that answers these requests. */
  open(messages: JSONRPCRequest[], streamId: string, reply: RequestStream['reply']): RequestStream {
    const stream: RequestStream = {
      id: streamId,
      connection: undefined,
      requests: [],
      unanswered: messages.length,
      resumable: false,
      moved: false,
      reply
    };
    const requests = (this.#requests ??= new Map<RequestId, OpenRequest>());
    for (const message of messages) {
      const id = requests.has(message.id) ? this.#standInFor(message.id) : message.id;
      const request: OpenRequest = {
        id,
        message,
        stream,
        state: 'open',
        response: undefined,
        answered: false,
        onresult: undefined
      };
      requests.set(id, request);
      stream.requests.push(request);
    }
    return stream;
  }

  /** Forgets a stream, and its requests with it. */
  release(stream: RequestStream): void {
    for (const request of stream.requests) {
      // A stream that was resumed as it ended comes here twice; its ids may be another's by then.
      if (this.get(request.id) === request) this.#requests?.delete(request.id);
      if (request.state === 'cancelled') this.#remember(request.id);
    }
    if (this.#requests?.size === 0) this.#requests = undefined;
    if (stream.resumable && !stream.connection) this.#keepUnread(stream);
  }

  /** Whether this is told about a cancelled request whose stream is gone: a server that goes on telling makes no mistake. */
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

  /** JSON-RPC ids must be unique while in flight; where a client reuses one, both requests get their own answer. */
  #standInFor(id: RequestId): string {
    let standIn: string;
    // A client may choose such an id itself.
    do standIn = `${String(id)}#${++this.#standIns}`;
    while (this.get(standIn));
    return standIn;
  }
}

/** Whether the server has answered all that it will ever answer on this stream. */
export function isOver(stream: RequestStream): boolean {
  return !stream.requests.some(isAwaited);
}

/** Whether a response has come to every request that gets one. */
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
    for (const request of stream.requests) request.response &&= inJson(request.response, report);
    return jsonOf(stream, sessionId);
  }
}

function jsonOf({ requests }: RequestStream, sessionId: string | undefined): Reply {
  const answers = requests.flatMap(({ response }) => response ?? []);
  if (answers.length === 0) return emptyReply(202);
  return jsonReply(requests.length === 1 ? answers[0] : answers, sessionId);
}

/** The SDK's servers give no answer to what was cancelled. */
function isAwaited({ response, state }: OpenRequest): boolean {
  return response === undefined && state !== 'cancelled';
}
