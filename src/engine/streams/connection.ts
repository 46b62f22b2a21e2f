import { unref } from '../../deadline.js';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { SlowClientError } from '../../errors.js';
import { armSseKeepAlive } from './sseKeepAlive.js';
import type { EventSink, StreamWriter } from '../http/exchange.js';
import type { ReportError } from '../../report.js';
import type { LoggedStream } from './eventLog.js';
import { messageEvent, primingEvent } from './sse.js';
import { UnloggedMessages } from './unloggedMessages.js';
import { clearInterval, performance, setInterval } from '../../timers.js';

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
  connectionOpened(): void;
  /** Called once, whichever side ends the connection. */
  connectionEnded(connection: Connection): void;
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
  /** Absent until the first call of {@link every}. */
  #timers: ReturnType<typeof setInterval>[] | undefined;
  /** When the client began to leave too much unread, by `performance.now()`. */
  #behindSince: number | undefined;
  /** Messages that arrive during a replay, to be delivered after it. */
  #held: { message: JSONRPCMessage; eventId: string | undefined; finalCursor: string | undefined }[] | undefined;
  #endsWhenReleased = false;
  /** The number of event ids that were sent to the client. */
  #cursors = 0;
  #unlogged: UnloggedMessages | undefined;
  /** Whether the client has not received this message yet. Called for each message, replayed or live. */
  filter: ((message: JSONRPCMessage, eventId: string | undefined) => boolean) | undefined;
  /** The cursor that replaces the event's id if nothing follows the message. Called before `filter`. */
  finalCursor: ((message: JSONRPCMessage) => string | undefined) | undefined;
  /** Reads the stream's log if several pods may write to it. Then it alone delivers logged messages. */
  follower:
    | {
        told(message: JSONRPCMessage, eventId: string): Promise<void>;
        passOver(eventId: string): void;
        read(): Promise<void>;
      }
    | undefined;

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
    this.#owner.connectionOpened();
  }

  gone(): void {
    this.#end();
  }

  unread(problem: Error): void {
    this.#owner.report(problem);
  }

  /** Whether a replay is in progress. */
  get replaying(): boolean {
    return this.#held !== undefined;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Delivers a message, unless the client has received it.
   * @param finalCursor - replaces the event's id if nothing follows
   * @returns a promise if the sender should wait until the client has read what was sent
   * @throws TypeError if the message cannot be written as JSON
   */
  deliver(
    message: JSONRPCMessage,
    eventId: string | undefined,
    finalCursor = this.finalCursor?.(message)
  ): void | Promise<void> {
    if (this.follower && eventId !== undefined) return this.follower.told(message, eventId);
    if (this.#held) this.#held.push({ message, eventId, finalCursor });
    else if (!this.filter || this.filter(message, eventId)) {
      const shownId = finalCursor ?? eventId;
      const event = messageEvent(message, shownId);
      if (shownId !== undefined) this.#cursors++;
      else if (this.#owner.log) (this.#unlogged ??= new UnloggedMessages()).add(event, this.#cursors);
      return this.write(event);
    }
  }

  /**
   * The log has stored a message late. If the client received it here without an id, a resume must start after it.
   * @returns whether the client was sent a cursor
   */
  storedLate(message: JSONRPCMessage, eventId: string): boolean {
    const cursors = this.#unlogged?.take(messageEvent(message, undefined));
    if (cursors === undefined) return false;
    if (!this.follower) return cursors === this.#cursors && this.giveCursor(eventId);
    this.follower.passOver(eventId);
    return false;
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
      return this.#cut(problem);
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

  /** Makes deliveries wait for {@link release}, so that a replay goes before them. */
  hold(): void {
    this.#held = [];
  }

  /**
   * Delivers a message from the log. The unread limit does not apply to a replay: the log limits its size.
   * @param isCursor - whether a resume must start after it
   */
  replay(message: JSONRPCMessage, eventId: string, isCursor = true): void {
    const finalCursor = this.finalCursor?.(message);
    if (this.#ended || this.filter?.(message, eventId) === false) return;
    const event = messageEvent(message, isCursor ? (finalCursor ?? eventId) : undefined);
    if (isCursor) this.#cursors++;
    void (this.#held ? this.#sink.write(event) : this.write(event));
  }

  release(): void {
    if (!this.#held) return;
    const held = this.#held;
    this.#held = undefined;
    for (const { message, eventId, finalCursor } of held) void this.deliver(message, eventId, finalCursor);
    if (this.#endsWhenReleased) this.close();
  }

  /** Calls `tick` at an interval until the connection ends. */
  every(intervalMs: number, tick: () => void): void {
    if (this.#ended) return;
    const timer = setInterval(tick, intervalMs);
    unref(timer);
    (this.#timers ??= []).push(timer);
  }

  /** Closes the connection after everything that is in the log now. */
  async finish(): Promise<void> {
    await this.follower?.read().catch(this.#owner.report);
    this.close();
  }

  close(): void {
    if (this.#ended) return;
    if (this.#held) {
      this.#endsWhenReleased = true;
      return;
    }
    this.#end();
    this.#sink.end();
  }

  /** Disconnects the client. After a normal end, unread data would stay in memory as long as the client does not read. */
  #cut(reason: Error): void {
    this.#end();
    this.#sink.cut(reason);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#keepAlive);
    this.#timers?.forEach(timer => clearInterval(timer));
    this.#owner.connectionEnded(this);
  }
}
