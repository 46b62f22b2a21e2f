import type { JSONRPCMessage, JSONRPCRequest, RequestId } from 'mcp-sdk-upstream/types.js';
import { isRequest } from '../http/jsonRpc.js';

/** Requests of one server that may wait for the client at once. */
const MAX_PENDING = 10_000;

/**
 * The ids of what a server asks its client. Every pod's server counts from 0, so on the wire an id, and a progress
 * token, names the instance that asked: `<instance>:<id as JSON>`. Before the server sees it again it is restored.
 */
export class ServerRequests {
  readonly #instance: string;
  /** The methods of what waits for the client, by id; absent until the server asks something. */
  #pending: Map<RequestId, string> | undefined;

  constructor(instance: string) {
    this.#instance = instance;
  }

  /** How many questions the server is to be given an answer to. */
  get awaited(): number {
    let count = 0;
    // Who pings asks whether the client is still there: one that has left must not count as busy by that.
    for (const method of this.#pending?.values() ?? []) if (method !== 'ping') count++;
    return count;
  }

  /** What goes on the wire for a message of the server. A request is pending from here on, before it is sent. */
  outgoing(message: JSONRPCMessage): JSONRPCMessage {
    if (isRequest(message)) {
      // Queued for a task, maybe by the server of another pod: it has its id, and is pending there.
      if (this.ownerOf(message.id) !== undefined) return message;
      this.#pending ??= new Map();
      if (this.#pending.size >= MAX_PENDING) throw new Error(`More than ${MAX_PENDING} requests wait for the client`);
      this.#pending.set(message.id, message.method);
      return { ...this.#qualifyToken(message), id: this.#qualify(message.id) };
    }
    if ('method' in message && message.method === 'notifications/cancelled') {
      const requestId = message.params?.requestId as RequestId | undefined;
      if (requestId === undefined) return message;
      this.#pending?.delete(requestId);
      return { ...message, params: { ...message.params, requestId: this.#qualify(requestId) } };
    }
    return message;
  }

  /** The request was not sent after all. */
  forget(id: RequestId): void {
    this.#pending?.delete(id);
  }

  /** Who asked what this id, or token, names; undefined where it was made by no server of this package. */
  ownerOf(wireId: unknown): string | undefined {
    return typeof wireId === 'string' ? /^([0-9a-f]{12}):/.exec(wireId)?.[1] : undefined;
  }

  /** The client's response under the server's own id; undefined where nothing was asked, or it was answered before. */
  restoreResponse<M extends { id?: RequestId }>(message: M): M | undefined {
    const id = this.#restore(message.id);
    return id !== undefined && this.#pending?.delete(id) ? { ...message, id } : undefined;
  }

  /** The client's progress under the server's own token. */
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
      // A number can be written in many ways; the client repeats what it was sent.
      return this.#qualify(id) === wireId ? id : undefined;
    } catch {
      return undefined;
    }
  }
}
