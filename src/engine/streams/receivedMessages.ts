import type { JSONRPCMessage, RequestId } from '../../sdkTypes.js';
import { isRequest, isResponse } from '../http/jsonRpc.js';

/** The number of events that are remembered for each connection. */
export const REMEMBERED_EVENTS = 1000;

/** The messages that a client has received on a connection, so that it receives each of them once. */
export class ReceivedMessages {
  /**
   * Whether several pods may write to the stream. A pod that was considered dead may still answer after the error: then
   * the first answer counts. A request of the server may come both without an event id, because the log was late, and
   * from the log.
   */
  readonly #isShared: boolean;
  readonly #eventIds = new Set<string>();
  /** Events that the client has received without their ids. Like the next two, absent until there is one. */
  #withoutIds: Set<string> | undefined;
  /** The server's requests, by their JSON-RPC id. */
  #requests: Set<RequestId> | undefined;
  #answered: Set<RequestId> | undefined;

  constructor(isShared: boolean) {
    this.#isShared = isShared;
  }

  /** Whether the client has received the event, and its id if it understands ids without messages. */
  has(eventId: string): boolean {
    return this.#eventIds.has(eventId);
  }

  /** Whether the client has the answer to its request. Known only if several pods may write to the stream. */
  hasAnswerTo(requestId: RequestId): boolean {
    return this.#answered?.has(requestId) ?? false;
  }

  /**
   * Notes a message that will be sent to the client now.
   * @returns false if the client has received it before: then it must not be sent
   */
  add(message: JSONRPCMessage, eventId: string | undefined): boolean {
    if (eventId !== undefined) {
      if (this.#eventIds.has(eventId)) return false;
      remember(this.#eventIds, eventId);
    }
    if (!this.#isShared) return true;
    if (isRequest(message)) {
      const requests = (this.#requests ??= new Set());
      if (requests.has(message.id)) return false;
      remember(requests, message.id);
    }
    if (!isResponse(message) || message.id === undefined) return true;
    if (this.#answered?.has(message.id)) return false;
    (this.#answered ??= new Set()).add(message.id);
    return true;
  }

  /**
   * Notes that the client has received an event without its id.
   * @returns false if it has also received the id
   */
  addWithoutId(eventId: string): boolean {
    if (this.#eventIds.has(eventId)) return false;
    (this.#withoutIds ??= new Set()).add(eventId);
    return true;
  }

  /**
   * Whether the client has received an event of the log, but not its id. From now on it counts as received with its id.
   */
  takeWithoutId(message: JSONRPCMessage, eventId: string): boolean {
    const isKnown = this.#withoutIds?.delete(eventId) || this.#hasRequestWithoutId(message, eventId);
    if (isKnown) remember(this.#eventIds, eventId);
    return isKnown;
  }

  #hasRequestWithoutId(message: JSONRPCMessage, eventId: string): boolean {
    if (!this.#isShared || !isRequest(message) || this.#eventIds.has(eventId)) return false;
    return this.#requests?.has(message.id) ?? false;
  }
}

function remember<T>(known: Set<T>, id: T): void {
  known.add(id);
  if (known.size > REMEMBERED_EVENTS) known.delete(known.values().next().value as T);
}
