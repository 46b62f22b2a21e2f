import type { EventStore } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { EventStoreUnavailableError } from '../errors.js';
import { withDeadline } from './deadline.js';
import type { ReportError } from './exchange.js';

/** What the log keeps of a stream: its id, and the last write, because events of a stream are stored in order. */
export interface LoggedStream {
  readonly id: string;
  lastAppend?: Promise<unknown>;
}

/** The application's event store, with a deadline: a log that is down costs the client its cursor, not its answer. */
export class EventLog {
  readonly #store: EventStore;
  readonly #timeoutMs: number;
  readonly #report: ReportError;

  constructor(store: EventStore, timeoutMs: number, report: ReportError) {
    this.#store = store;
    this.#timeoutMs = timeoutMs;
    this.#report = report;
  }

  /**
   * Stores an event behind those that came before it on the stream.
   * @returns its id, or undefined where the store failed or was late; that has been reported
   */
  append(stream: LoggedStream, message: JSONRPCMessage): Promise<string | undefined> {
    const stored = (stream.lastAppend ?? Promise.resolve()).then(() => this.#storeEvent(stream.id, message));
    stream.lastAppend = stored;
    return stored;
  }

  /** The stream that an event belongs to; undefined also where the store cannot tell before a replay. */
  async streamOf(eventId: string): Promise<string | undefined> {
    return this.#store.getStreamIdForEventId?.(eventId);
  }

  get tellsStreams(): boolean {
    return this.#store.getStreamIdForEventId !== undefined;
  }

  replayAfter(eventId: string, send: (eventId: string, message: JSONRPCMessage) => Promise<void>): Promise<string> {
    return this.#store.replayEventsAfter(eventId, { send });
  }

  async #storeEvent(streamId: string, message: JSONRPCMessage): Promise<string | undefined> {
    try {
      return await withDeadline(
        () => this.#store.storeEvent(streamId, message),
        this.#timeoutMs,
        () => new EventStoreUnavailableError(`storeEvent did not answer within ${this.#timeoutMs} ms`)
      );
    } catch (error) {
      this.#report(
        error instanceof EventStoreUnavailableError
          ? error
          : new EventStoreUnavailableError('storeEvent failed', { cause: error })
      );
      return undefined;
    }
  }
}
