import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { EventStoreUnavailableError } from '../../errors.js';
import type { FollowableEventStore } from '../../ports/eventStore.js';
import { type WaitBudget, withDeadline } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import { performance } from '../../timers.js';

/** What the log keeps of a stream: its id, and the last write, because events of a stream are stored in order. */
export interface LoggedStream {
  readonly id: string;
  lastAppend?: Promise<unknown>;
  /** The last event that this pod has stored. */
  lastEventId?: string;
  /** When the store was asked for something that it has not answered yet, by `performance.now()`. */
  unansweredSince?: number | undefined;
  /** The client's, where it is attached to this pod. */
  readonly connection?: object | undefined;
}

/**
 * So many times the deadline of an append a store may take to begin, or to go on with, a replay, for which a client waits
 * that has nothing better to do; and for so long a store that leaves an append unanswered is not asked again on a stream.
 */
const PATIENCE = 10;

/** The application's event store, with a deadline: a log that is down costs the client its cursor, not its answer. */
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
   * Stores an event behind those that came before it on the stream.
   * @param waits - of the exchange that waits for it, if one does
   * @param onstoredLate - told the id if the store gives one after all
   * @returns its id, or undefined where the store failed or was late; that has been reported
   */
  append(
    stream: LoggedStream,
    message: JSONRPCMessage,
    waits?: WaitBudget,
    onstoredLate?: (eventId: string) => void
  ): Promise<string | undefined> {
    return this.#append('storeEvent', stream, message, waits, onstoredLate);
  }

  /** The same for the event that completes the stream: the store need not keep it for long. */
  appendLast(stream: LoggedStream, message: JSONRPCMessage): Promise<string | undefined> {
    return this.#append(this.#store.storeLastEvent ? 'storeLastEvent' : 'storeEvent', stream, message);
  }

  /** The stream is complete without another message. Does nothing if the store makes no difference. */
  complete(stream: LoggedStream): void {
    const isLogged = stream.lastEventId !== undefined;
    if (isLogged && this.#store.storeLastEvent) void this.appendLast(stream, {} as JSONRPCMessage);
  }

  /** The session has ended, and with it its streams: those that are complete, and these. */
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
   * The events before an answer must not each wait for a store that does not answer. For a client that is not attached
   * here the log is the only way, so there the store is asked again.
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
      // It may have been asked again meanwhile.
      if (stream.unansweredSince === now) stream.unansweredSince = undefined;
    }
  }

  /**
   * The stream that an event belongs to; undefined also where the store cannot tell before a replay.
   * @throws EventStoreUnavailableError where the store is late, and what the store throws
   */
  streamOf(eventId: string): Promise<string | undefined> {
    const call = 'getStreamIdForEventId';
    return this.#inTime(call, PATIENCE * this.#timeoutMs, async () => this.#store.getStreamIdForEventId?.(eventId));
  }

  /** What the store calls the stream of an event. Some stores keep a stream under another name than its id. */
  async nameOf(eventId: string): Promise<string | undefined> {
    return this.tellsStreams ? this.streamOf(eventId) : this.replayAfter(eventId, async () => {});
  }

  get tellsStreams(): boolean {
    return this.#store.getStreamIdForEventId !== undefined;
  }

  /** Whether a stream can be followed from where it is now. */
  get tellsLatest(): boolean {
    return this.#store.latestEventId !== undefined;
  }

  /** An event behind which everything is new; undefined where the store cannot tell, or failed: that has been reported. */
  async latestOf(stream: LoggedStream, waits?: WaitBudget): Promise<string | undefined> {
    if (!this.tellsLatest) return undefined;
    const latest = await this.#ask('latestEventId', async () => this.#store.latestEventId?.(stream.id), waits);
    // Nothing is kept: an event without a message, as at the beginning of a request's stream.
    return latest === null ? this.append(stream, {} as JSONRPCMessage, waits) : latest;
  }

  /**
   * Gives what the store has behind an event, in order.
   * @returns the stream's id
   * @throws EventStoreUnavailableError where the store falls silent before the end: then nothing is sent any more; and
   * what the store throws
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
        // A store need not wait for what it sends; then nobody looks at a failure but the replay's caller.
        const handled = (sent: Promise<void>): Promise<void> => {
          sent.catch(() => {});
          return sent;
        };
        return this.#store.replayEventsAfter(eventId, { send: (id, message) => handled(sendInTime(id, message)) });
      },
      () => (isLate = true)
    );
  }

  /** @returns undefined where the store failed or was late; that has been reported */
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
