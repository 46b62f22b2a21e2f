import { unref } from '../../deadline.js';
import type { JSONRPCMessage } from '../../sdkTypes.js';
import { EventCursorError, SlowClientError } from '../../errors.js';
import { armSseKeepAlive } from './sseKeepAlive.js';
import type { EventSink, StreamWriter } from '../http/exchange.js';
import type { ReportError } from '../../report.js';
import type { LoggedStream } from './eventLog.js';
import { messageEvent, primingEvent } from './sse.js';
import { UnloggedMessages } from './unloggedMessages.js';
import { clearInterval, performance, setInterval, setTimeout } from '../../timers.js';

/**
 * A client that leaves more than this unread for longer than this is disconnected, because unread data stays in this
 * pod's memory. The time is needed because one write may be larger, even if the client reads fast.
 */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;
const MAX_UNREAD_MS = 5000;
/** A client with more unread data is disconnected at once. */
const MAX_BURST_BYTES = 32 * 1024 * 1024;

/** A stream as the client sees it. It outlives a connection if the client resumes. */
export interface Stream extends LoggedStream {
  connection: Connection | undefined;
}

/** What a connection needs from its owner. */
export interface ConnectionOwner {
  readonly keepAliveMs: number;
  /** How long clients should wait before they reconnect, in ms. */
  readonly retryInterval: number | undefined;
  readonly report: ReportError;
  /** Absent if streams are not logged. */
  readonly log: object | undefined;
  /** Called once when the client holds the stream open. Not called if the answer is ready at once. */
  connectionOpened(connection: Connection): void;
  /** Called once, whichever side ends the connection. */
  connectionEnded(connection: Connection): void;
}

/** Delivers a stream whose client gets messages both from the log and as they are sent. `LogDelivery` implements it. */
export interface Delivery {
  /** Whether the log is being replayed. Then other messages, and the end of the connection, wait. */
  readonly isReplaying: boolean;
  /** Delivers a message that was sent now; see {@link Connection.deliver}. */
  deliver(message: JSONRPCMessage, eventId: string | undefined, finalCursor: string | undefined): void | Promise<void>;
  /**
   * The log has stored an event late: the client has received it without its id.
   * @returns whether the delivery will send the client a cursor
   */
  storedLate(eventId: string): boolean;
  /** Delivers what the log has now, if events are delivered from the log. */
  catchUp(): Promise<void>;
  /** Ends the replay: what waited is delivered now. */
  endReplay(): void;
  /** @returns whether the connection must stay open now; it is closed after the replay */
  closesLater(): boolean;
}

/** A client's connection for one stream: from the reply that opened it until either side ends it. */
export class Connection implements StreamWriter {
  readonly stream: Stream;
  readonly #sink: EventSink;
  readonly #owner: ConnectionOwner;
  /** Whether the client understands an event without data. */
  readonly #takesCursors: boolean;
  #keepAlive: ReturnType<typeof setInterval> | undefined;
  #ended = false;
  #delivery: Delivery | undefined;
  /** Absent until the first call of {@link every}. */
  #timers: ReturnType<typeof setInterval | typeof setTimeout>[] | undefined;
  /** When the client began to leave too much unread, by `performance.now()`. */
  #behindSince: number | undefined;
  /** The number of event ids that were sent to the client. */
  #cursors = 0;
  #unlogged: UnloggedMessages | undefined;
  /** When the client began to hold the stream open, by `performance.now()`, if somebody listens. */
  openedAt: number | undefined;

  constructor(stream: Stream, sink: EventSink, owner: ConnectionOwner, takesCursors: boolean) {
    this.stream = stream;
    this.#sink = sink;
    this.#owner = owner;
    this.#takesCursors = takesCursors;
    sink.writer = this;
  }

  opened(): void {
    if (this.#ended) return;
    // Comment frames at an interval, so that proxies do not treat a quiet stream as dead.
    this.#keepAlive = armSseKeepAlive(this.#owner.keepAliveMs, () => void this.write(': keepalive\n\n'));
    this.#owner.connectionOpened(this);
  }

  gone(): void {
    this.#end();
  }

  unread(problem: Error): void {
    this.#owner.report(problem);
  }

  get nextMessage(): Promise<unknown> | undefined {
    return this.stream.unansweredSince === undefined ? undefined : this.stream.lastAppend;
  }

  /** Undefined if each message is delivered as it arrives. */
  get delivery(): Delivery | undefined {
    return this.#delivery;
  }

  /** Messages go through this delivery from now on. */
  deliverBy(delivery: Delivery): void {
    this.#delivery = delivery;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Delivers a message, unless the client has received it.
   * @param finalCursor - replaces the event's id if nothing follows
   * @param text - the message as JSON, if it is known
   * @returns a promise if the sender should wait until the client has read what was sent
   * @throws TypeError if the message cannot be written as JSON
   */
  deliver(
    message: JSONRPCMessage,
    eventId: string | undefined,
    finalCursor?: string,
    text?: string
  ): void | Promise<void> {
    return this.#delivery
      ? this.#delivery.deliver(message, eventId, finalCursor)
      : this.send(message, finalCursor ?? eventId, text);
  }

  /**
   * Sends a message now.
   * @returns a promise if the sender should wait until the client has read what was sent
   * @throws TypeError if the message cannot be written as JSON
   */
  send(message: JSONRPCMessage, shownId: string | undefined, text?: string): void | Promise<void> {
    const event = messageEvent(message, shownId, text);
    if (shownId !== undefined) this.#cursors++;
    else if (this.#owner.log) (this.#unlogged ??= new UnloggedMessages()).add(event, this.#cursors);
    return this.write(event);
  }

  /**
   * Sends a message of the log now.
   * @param shownId - undefined if a resume must not start after the message
   * @param isReplay - the unread limit does not apply to a replay: the log limits its size
   */
  sendLogged(message: JSONRPCMessage, shownId: string | undefined, isReplay: boolean): void {
    const event = messageEvent(message, shownId);
    if (shownId !== undefined) this.#cursors++;
    void (isReplay ? this.#sink.write(event) : this.write(event));
  }

  /**
   * The log has stored a message late. If the client received it here without an id, a resume must start after it.
   * @returns whether the client was sent a cursor
   */
  storedLate(message: JSONRPCMessage, eventId: string): boolean {
    const cursors = this.#unlogged?.take(messageEvent(message, undefined));
    if (cursors === undefined) return false;
    if (this.#delivery?.storedLate(eventId)) return false;
    return cursors === this.#cursors && this.giveCursor(eventId);
  }

  /** How many event ids the client was sent. */
  get cursors(): number {
    return this.#cursors;
  }

  /** Whether the client has an event id to resume from. */
  get hasCursor(): boolean {
    return this.#cursors > 0;
  }

  /**
   * Sends the client an event id without a message, so that it can resume after this event.
   * @returns whether it was sent: some clients do not understand it
   */
  giveCursor(eventId: string): boolean {
    if (!this.#takesCursors || this.#ended) return false;
    this.#cursors++;
    void this.write(primingEvent(eventId, this.#owner.retryInterval));
    return true;
  }

  write(text: string): void | Promise<void> {
    if (this.#ended) return;
    if (this.#isTooSlow()) {
      const problem = new SlowClientError(`The client left ${this.#sink.bufferedBytes} bytes of its stream unread`);
      this.#owner.report(problem);
      return this.#disconnect(problem);
    }
    return this.#sink.write(text);
  }

  #isTooSlow(): boolean {
    const { bufferedBytes } = this.#sink;
    if (bufferedBytes <= MAX_UNREAD_BYTES) {
      this.#behindSince = undefined;
      return false;
    }
    this.#behindSince ??= performance.now();
    return bufferedBytes > MAX_BURST_BYTES || performance.now() - this.#behindSince > MAX_UNREAD_MS;
  }

  /** Calls `tick` at an interval until the connection ends. */
  every(intervalMs: number, tick: () => void): void {
    if (!this.#ended) this.#keep(setInterval(tick, intervalMs));
  }

  /** Runs work once, unless the connection ends before. */
  after(delayMs: number, work: () => void): void {
    if (!this.#ended) this.#keep(setTimeout(work, delayMs));
  }

  #keep(timer: ReturnType<typeof setInterval | typeof setTimeout>): void {
    unref(timer);
    (this.#timers ??= []).push(timer);
  }

  /** Closes the connection after everything that is in the log now. */
  async finish(): Promise<void> {
    await this.#delivery?.catchUp().catch((error: unknown) => {
      // The log ends with the session, and then has nothing more.
      if (!(error instanceof EventCursorError)) this.#owner.report(error as Error);
    });
    this.close();
  }

  close(): void {
    if (this.#ended || this.#delivery?.closesLater()) return;
    this.#end();
    this.#sink.end();
  }

  /** Disconnects the client. After a normal end, unread data would stay in memory as long as the client does not read. */
  #disconnect(reason: Error): void {
    this.#end();
    this.#sink.disconnect(reason);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#keepAlive);
    this.#timers?.forEach(timer => clearInterval(timer));
    this.#owner.connectionEnded(this);
  }
}
