import type { JSONRPCMessage } from '../../sdkTypes.js';
import { EventStoreUnavailableError } from '../../errors.js';
import type { FollowableEventStore } from '../../ports/eventStore.js';
import type { WaitBudget } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import type { ResolvedOptions } from '../options.js';
import { performance } from '../../timers.js';
import type { PortCall, PortCalls, PortErrors } from '../../events/portCalls.js';

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

type Append = 'storeEvent' | 'storeLastEvent' | 'storeOnlyEvent';

interface LoggedEvent {
  readonly message: JSONRPCMessage;
  /** The message as JSON, if it is known. */
  readonly text?: string | undefined;
}

/** The application's event store, with a deadline. If the store is down, the client loses its cursor, not its answer. */
export class EventLog {
  readonly #store: FollowableEventStore;
  readonly #timeoutMs: number;
  readonly #report: ReportError;
  readonly #calls: PortCalls;

  constructor(store: FollowableEventStore, timeoutMs: number, report: ReportError, calls: PortCalls) {
    this.#store = store;
    this.#timeoutMs = timeoutMs;
    this.#report = report;
    this.#calls = calls;
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
    return this.#append('storeEvent', stream, { message }, waits, onstoredLate);
  }

  /**
   * Stores the event that completes the stream. The store may keep the stream for a shorter time.
   * @param isOwn - whether no other pod stores events of the stream
   * @param text - the message as JSON, if it is known
   */
  appendLast(stream: LoggedStream, message: JSONRPCMessage, isOwn = false, text?: string): Promise<string | undefined> {
    const isOnly = isOwn && stream.lastAppend === undefined && this.#store.storeOnlyEvent !== undefined;
    const last = this.#store.storeLastEvent ? 'storeLastEvent' : 'storeEvent';
    return this.#append(isOnly ? 'storeOnlyEvent' : last, stream, { message, text });
  }

  /** A cursor before the first event of a stream. Undefined if the store has none. It is not asked. */
  startOf({ id }: LoggedStream): string | undefined {
    try {
      return this.#store.startEventId?.(id);
    } catch (error) {
      this.#report(new EventStoreUnavailableError('startEventId failed', { cause: error }));
      return undefined;
    }
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
    call: Append,
    stream: LoggedStream,
    event: LoggedEvent,
    waits?: WaitBudget,
    onstoredLate?: (eventId: string) => void
  ): Promise<string | undefined> {
    const ask = (): Promise<string | undefined> => {
      if (!onstoredLate) return this.#ask(call, () => this.#storeEvent(call, stream, event), waits);
      let isLate = false;
      const store = async (): Promise<string> => {
        const eventId = await this.#storeEvent(call, stream, event);
        if (isLate) onstoredLate(eventId);
        return eventId;
      };
      return this.#ask(call, store, waits, () => (isLate = true));
    };
    const stored = stream.lastAppend ? stream.lastAppend.then(ask) : ask();
    stream.lastAppend = stored;
    return stored;
  }

  /**
   * If the store does not answer, the events before an answer must not each wait for it. A client that is not attached
   * here can get them only from the log, so for such a client the store is asked again.
   */
  async #storeEvent(call: Append, stream: LoggedStream, { message, text }: LoggedEvent): Promise<string> {
    const now = performance.now();
    const silentForMs = now - (stream.unansweredSince ?? -Infinity);
    if (stream.connection && silentForMs < PATIENCE * this.#timeoutMs) {
      throw new Error('it has not answered yet to what it was asked before');
    }
    stream.unansweredSince = now;
    try {
      const store = this.#store as Required<FollowableEventStore>;
      // The SDK's method has no third argument: a store may have one of its own.
      const stored =
        call === 'storeEvent' ? store.storeEvent(stream.id, message) : store[call](stream.id, message, text);
      return (stream.lastEventId = await stored);
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
    return this.#askLonger(call, async () => this.#store.getStreamIdForEventId?.(eventId));
  }

  /** The store's name for the stream of an event. Some stores use another name than its id. */
  async nameOf(eventId: string): Promise<string | undefined> {
    return this.knowsStreams ? this.streamOf(eventId) : this.replayAfter(eventId, async () => {});
  }

  get knowsStreams(): boolean {
    return this.#store.getStreamIdForEventId !== undefined;
  }

  /** Whether a stream can be followed from its present end. */
  get knowsLatest(): boolean {
    return this.#store.latestEventId !== undefined;
  }

  /** An event after which all events are new. Undefined if the store cannot report it, or failed, which is reported. */
  async latestOf(stream: LoggedStream, waits?: WaitBudget): Promise<string | undefined> {
    if (!this.knowsLatest) return undefined;
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
    return this.#askLonger(
      'replayEventsAfter',
      restart => {
        const sendInTime = async (id: string, message: JSONRPCMessage): Promise<void> => {
          if (isLate) throw new Error('This replay has timed out');
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
  #ask<T>(name: string, run: () => Promise<T>, waits?: WaitBudget, onLate?: () => void): Promise<T | undefined> {
    const call: PortCall<T | undefined> = {
      name,
      run,
      timeoutMs: this.#timeoutMs,
      waits,
      onLate,
      onFailure: (failure: Error) => this.#giveUp(failure)
    };
    return this.#calls.call(call, REPORTED_ERRORS);
  }

  /** The client loses its cursor, not its answer. */
  #giveUp(failure: Error): undefined {
    this.#report(failure);
    return undefined;
  }

  /** Throws the error of the store, or that the store made no progress for ten times as long as an append may take. */
  #askLonger<T>(name: string, run: (restart: () => void) => Promise<T>, onLate?: () => void): Promise<T> {
    return this.#calls.call({ name, run, timeoutMs: PATIENCE * this.#timeoutMs, onLate }, THROWN_ERRORS);
  }
}

const late = (name: string, timeoutMs: number): Error =>
  new EventStoreUnavailableError(`${name} did not answer within ${timeoutMs} ms`);
const THROWN_ERRORS: PortErrors = { late, failed: error => error as Error };
/** The errors that are reported, and not thrown to the caller. */
export const REPORTED_ERRORS: PortErrors = {
  late,
  failed: (error, name) =>
    error instanceof EventStoreUnavailableError
      ? error
      : new EventStoreUnavailableError(`${name} failed`, { cause: error })
};

/** The log of the application's event store; undefined if there is no event store. */
export function eventLogOf(
  { eventStore, storeTimeoutMs, events }: Pick<ResolvedOptions, 'eventStore' | 'storeTimeoutMs' | 'events'>,
  report: ReportError
): EventLog | undefined {
  return eventStore && new EventLog(eventStore, storeTimeoutMs, report, events.log);
}
