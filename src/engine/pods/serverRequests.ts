import type { JSONRPCMessage, JSONRPCRequest, RequestId } from '../../sdkTypes.js';
import { isRequest } from '../http/jsonRpc.js';
import { ObservedRequest } from '../../events/observed.js';

/** How many requests of one server may wait for the client at the same time. */
const MAX_PENDING = 10_000;

/**
 * The ids of a server's requests to its client. Every pod's server counts from 0. So on the wire, an id or a progress
 * token names the instance: `<instance>:<id as JSON>`. The server gets its own id back.
 */
export class ServerRequests {
  readonly #instance: string;
  /**
   * The requests that wait for the client, by id: the method of each, or its event if somebody listens. Undefined until
   * the server sends a request.
   */
  #pending: Map<RequestId, string | ObservedRequest> | undefined;

  constructor(instance: string) {
    this.#instance = instance;
  }

  /** The session is closed on this pod: no response can arrive. */
  close(): void {
    for (const pending of this.#pending?.values() ?? []) if (typeof pending !== 'string') pending.end('closed');
  }

  /** How many requests wait for the client's answer, without pings. */
  get awaited(): number {
    let count = 0;
    // A ping checks whether the client is still there. A client that has left must not count as busy because of it.
    for (const pending of this.#pending?.values() ?? []) {
      if ((typeof pending === 'string' ? pending : pending.method) !== 'ping') count++;
    }
    return count;
  }

  /** The wire form of a server's message. A request is pending from now on, before it is sent. */
  outgoing(message: JSONRPCMessage, sessionId?: string): JSONRPCMessage {
    if (isRequest(message)) {
      // It was queued for a task, maybe by a server on another pod. It has its wire id already, and is pending there.
      if (this.ownerOf(message.id) !== undefined) return message;
      this.#pending ??= new Map();
      if (this.#pending.size >= MAX_PENDING) throw new Error(`More than ${MAX_PENDING} requests wait for the client`);
      this.#pending.set(message.id, message.method);
      const observed = ObservedRequest.begin('out', message, sessionId);
      if (observed) this.#pending.set(message.id, observed);
      return { ...this.#qualifyToken(message), id: this.#qualify(message.id) };
    }
    if ('method' in message && message.method === 'notifications/cancelled') {
      const requestId = message.params?.requestId as RequestId | undefined;
      if (requestId === undefined) return message;
      this.forget(requestId);
      return { ...message, params: { ...message.params, requestId: this.#qualify(requestId) } };
    }
    return message;
  }

  /** The request was not sent, or was cancelled. */
  forget(id: RequestId): void {
    const pending = this.#pending?.get(id);
    this.#pending?.delete(id);
    if (typeof pending === 'object') pending.end('cancelled');
  }

  /** The instance that an id or a token names. Undefined if no server of this package made it. */
  ownerOf(wireId: unknown): string | undefined {
    return typeof wireId === 'string' ? /^([0-9a-f]{12}):/.exec(wireId)?.[1] : undefined;
  }

  /**
   * The client's response with the server's own id. Undefined if no such request waits.
   * @param answeredFrom - the trace of the pod that has sent the response
   */
  restoreResponse<M extends { id?: RequestId }>(message: M, answeredFrom?: string): M | undefined {
    const id = this.#restore(message.id);
    const pending = id === undefined ? undefined : this.#pending?.get(id);
    if (id === undefined || pending === undefined) return undefined;
    this.#pending?.delete(id);
    if (typeof pending === 'object') {
      pending.answeredFrom = answeredFrom;
      pending.respond(message);
    }
    return { ...message, id };
  }

  /** The client's progress with the server's own token. */
  restoreProgress(message: JSONRPCMessage & { params?: Record<string, unknown> }): JSONRPCMessage | undefined {
    const progressToken = this.#restore(message.params?.progressToken);
    return progressToken === undefined ? undefined : { ...message, params: { ...message.params, progressToken } };
  }

  #qualifyToken(request: JSONRPCRequest): JSONRPCRequest {
    const progressToken = request.params?._meta?.progressToken;
    if (progressToken === undefined) return request;
    const _meta = { ...request.params?._meta, progressToken: this.#qualify(progressToken) };
    return { ...request, params: { ...request.params, _meta } };
  }

  #qualify(id: RequestId): string {
    return `${this.#instance}:${JSON.stringify(id)}`;
  }

  #restore(wireId: unknown): RequestId | undefined {
    if (this.ownerOf(wireId) !== this.#instance) return undefined;
    try {
      const id: unknown = JSON.parse((wireId as string).slice(this.#instance.length + 1));
      if (typeof id !== 'string' && typeof id !== 'number') return undefined;
      // A number has many spellings. The client must repeat the one that it received.
      return this.#qualify(id) === wireId ? id : undefined;
    } catch {
      return undefined;
    }
  }
}
