import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { EventStoreUnavailableError } from '../../errors.js';
import type { FollowableEventStore } from '../../ports/eventStore.js';
import { type WaitBudget, withDeadline } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import { performance } from '../../timers.js';

/** The log's data about a stream. It has the last write, because the events of a stream are stored in order. */
export interface LoggedStream {
  readonly id: string;
  lastAppend?: Promise<unknown>;
  /** The last event that this pod has stored. */
  lastEventId?: string;
  /** When the call began that the store has not answered yet, by `performance.now()`. */
  unansweredSince?: number | undefined;
  /** The client's connection, if it is attached to this pod. */
  readonly connection?: object | undefined;
}

/**
 * A multiple of the append deadline: how long a store may take to start a replay or to send its next event, because the
 * client waits for nothing else. After an append without an answer, an attached client's stream is not logged for this
 * long.
 */
const PATIENCE = 10;

/** The application's event store, with a deadline. If the store is down, the client loses its cursor, not its answer. */
export class EventLog {
  readonly #store: FollowableEventStore;
  readonly #timeoutMs: number;
  readonly #report: ReportError;

  constructor(store: FollowableEventStore, timeoutMs: number, report: ReportError) {
    this.#store = store;
    this.#timeoutMs = timeoutMs;
    this.#report = report;
  }

  /**
   * Stores an event after the earlier events of the stream.
   * @param waits - the budget of the exchange that waits for it, if any
   * @param onstoredLate - called with the id if the store returns it late
   * @returns its id, or undefined if the store failed or was late; that has been reported
   */
  append(
    stream: LoggedStream,
    message: JSONRPCMessage,
    waits?: WaitBudget,
    onstoredLate?: (eventId: string) => void
  ): Promise<string | undefined> {
    return this.#append('storeEvent', stream, message, waits, onstoredLate);
  }

  /** Stores the event that completes the stream. The store may keep the stream for a shorter time. */
  appendLast(stream: LoggedStream, message: JSONRPCMessage): Promise<string | undefined> {
    return this.#append(this.#store.storeLastEvent ? 'storeLastEvent' : 'storeEvent', stream, message);
  }

  /** Completes a stream without another message. Does nothing if the store has no `storeLastEvent`. */
  complete(stream: LoggedStream): void {
    const isLogged = stream.lastEventId !== undefined;
    if (isLogged && this.#store.storeLastEvent) void this.appendLast(stream, {} as JSONRPCMessage);
  }

  /** Deletes the streams of an ended session: the complete ones and the named ones. */
  async deleteStreams(sessionId: string, streamIds: readonly string[]): Promise<void> {
    await this.#ask('deleteStreams', async () => this.#store.deleteStreams?.(sessionId, streamIds));
  }

  #append(
    call: 'storeEvent' | 'storeLastEvent',
    stream: LoggedStream,
    message: JSONRPCMessage,
    waits?: WaitBudget,
    onstoredLate?: (eventId: string) => void
  ): Promise<string | undefined> {
    let isLate = false;
    const store = async (): Promise<string> => {
      const eventId = await this.#storeEvent(call, stream, message);
      if (isLate) onstoredLate?.(eventId);
      return eventId;
    };
    const stored = (stream.lastAppend ?? Promise.resolve()).then(() =>
      this.#ask(call, store, waits, () => (isLate = true))
    );
    stream.lastAppend = stored;
    return stored;
  }

  /**
   * If the store does not answer, the events before an answer must not each wait for it. A client that is not attached
   * here can get them only from the log, so for such a client the store is asked again.
   */
  async #storeEvent(
    call: 'storeEvent' | 'storeLastEvent',
    stream: LoggedStream,
    message: JSONRPCMessage
  ): Promise<string> {
    const now = performance.now();
    const silentForMs = now - (stream.unansweredSince ?? -Infinity);
    if (stream.connection && silentForMs < PATIENCE * this.#timeoutMs) {
      throw new Error('it has not answered yet to what it was asked before');
    }
    stream.unansweredSince = now;
    try {
      return (stream.lastEventId = await (this.#store as Required<FollowableEventStore>)[call](stream.id, message));
    } finally {
      // Another call may have started meanwhile.
      if (stream.unansweredSince === now) stream.unansweredSince = undefined;
    }
  }

  /**
   * The stream of an event. Also undefined if the store reports it only after a replay.
   * @throws EventStoreUnavailableError if the store is late, or an error of the store
   */
  streamOf(eventId: string): Promise<string | undefined> {
    const call = 'getStreamIdForEventId';
    return this.#inTime(call, PATIENCE * this.#timeoutMs, async () => this.#store.getStreamIdForEventId?.(eventId));
  }

  /** The store's name for the stream of an event. Some stores use another name than its id. */
  async nameOf(eventId: string): Promise<string | undefined> {
    return this.tellsStreams ? this.streamOf(eventId) : this.replayAfter(eventId, async () => {});
  }

  get tellsStreams(): boolean {
    return this.#store.getStreamIdForEventId !== undefined;
  }

  /** Whether a stream can be followed from its present end. */
  get tellsLatest(): boolean {
    return this.#store.latestEventId !== undefined;
  }

  /** An event after which all events are new. Undefined if the store cannot report it, or failed, which is reported. */
  async latestOf(stream: LoggedStream, waits?: WaitBudget): Promise<string | undefined> {
    if (!this.tellsLatest) return undefined;
    const latest = await this.#ask('latestEventId', async () => this.#store.latestEventId?.(stream.id), waits);
    // The log is empty: store an event without a message, as at the beginning of a request's stream.
    return latest === null ? this.append(stream, {} as JSONRPCMessage, waits) : latest;
  }

  /**
   * Sends the stored events after an event, in order.
   * @returns the stream's id
   * @throws EventStoreUnavailableError if the store stops answering before the end (then nothing more is sent), or an
   *   error of the store
   */
  replayAfter(eventId: string, send: (eventId: string, message: JSONRPCMessage) => Promise<void>): Promise<string> {
    let isLate = false;
    return this.#inTime(
      'replayEventsAfter',
      PATIENCE * this.#timeoutMs,
      restart => {
        const sendInTime = async (id: string, message: JSONRPCMessage): Promise<void> => {
          if (isLate) throw new Error('Nobody waits for this replay any more');
          restart();
          await send(id, message);
        };
        // A store that does not await `send` must not cause an unhandled rejection.
        const handled = (sent: Promise<void>): Promise<void> => {
          sent.catch(() => {});
          return sent;
        };
        return this.#store.replayEventsAfter(eventId, { send: (id, message) => handled(sendInTime(id, message)) });
      },
      () => (isLate = true)
    );
  }

  /** @returns undefined if the store failed or was late; that has been reported */
  async #ask<T>(call: string, run: () => Promise<T>, waits?: WaitBudget, onLate?: () => void): Promise<T | undefined> {
    const timeoutMs = waits ? waits.begin(this.#timeoutMs) : this.#timeoutMs;
    try {
      return await this.#inTime(call, timeoutMs, run, onLate);
    } catch (error) {
      this.#report(
        error instanceof EventStoreUnavailableError
          ? error
          : new EventStoreUnavailableError(`${call} failed`, { cause: error })
      );
      return undefined;
    } finally {
      waits?.end();
    }
  }

  #inTime<T>(
    call: string,
    timeoutMs: number,
    run: (restart: () => void) => Promise<T>,
    onLate?: () => void
  ): Promise<T> {
    return withDeadline(run, timeoutMs, () => {
      onLate?.();
      return new EventStoreUnavailableError(`${call} did not answer within ${timeoutMs} ms`);
    });
  }
}
