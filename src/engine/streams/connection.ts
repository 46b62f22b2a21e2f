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
 * A client that leaves so much unread for so long is disconnected: what it does not read is held in this pod's memory. It
 * needs the time, because what is written at once may be more, however fast it reads.
 */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;
const MAX_UNREAD_MS = 5000;
/** More is not held for any client. */
const MAX_BURST_BYTES = 32 * 1024 * 1024;

/** A stream as the client knows it: it outlives the connection when the client resumes. */
export interface Stream extends LoggedStream {
  connection: Connection | undefined;
}

/** What a connection needs of whoever has made it. */
export interface ConnectionOwner {
  readonly keepAliveMs: number;
  /** What clients are told to wait before they reconnect. */
  readonly retryInterval: number | undefined;
  readonly report: ReportError;
  /** Absent if no stream is logged. */
  readonly log: object | undefined;
  /** Called once when the client holds the stream open; an answer that is ready at once never opens one. */
  connectionOpened(): void;
  /** Called once, whichever side ends the connection. */
  connectionEnded(connection: Connection): void;
}

/** A client's connection for one stream: from the reply that opened it until either side ends it. */
export class Connection implements StreamWriter {
  /** What it is a connection for. */
  readonly stream: Stream;
  readonly #sink: EventSink;
  readonly #owner: ConnectionOwner;
  /** Whether the client understands an event without data. */
  readonly #takesCursors: boolean;
  #keepAlive: ReturnType<typeof setInterval> | undefined;
  #ended = false;
  /** Absent until somebody wants to look at an interval. */
  #timers: ReturnType<typeof setInterval>[] | undefined;
  /** Since when the client has left too much unread, by `performance.now()`. */
  #behindSince: number | undefined;
  /** While a resume replays: what happens meanwhile, to follow behind it. */
  #held: { message: JSONRPCMessage; eventId: string | undefined; finalCursor: string | undefined }[] | undefined;
  #endsWhenReleased = false;
  /** How many event ids the client has been given. */
  #cursors = 0;
  #unlogged: UnloggedMessages | undefined;
  /** Whether the client has not had this message yet; asked for each, replayed or live. */
  filter: ((message: JSONRPCMessage, eventId: string | undefined) => boolean) | undefined;
  /** The cursor that the client gets with a message instead of the event's id, where nothing follows; asked before `filter`. */
  finalCursor: ((message: JSONRPCMessage) => string | undefined) | undefined;
  /** Reads the stream's log, where several pods may write to it: what was logged is delivered by it alone. */
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
    // Comment frames at an interval, so that proxies do not take a quiet stream for a dead one.
    this.#keepAlive = armSseKeepAlive(this.#owner.keepAliveMs, () => void this.write(': keepalive\n\n'));
    this.#owner.connectionOpened();
  }

  gone(): void {
    this.#end();
  }

  unread(problem: Error): void {
    this.#owner.report(problem);
  }

  /** Whether a resume is still replaying on it. */
  get replaying(): boolean {
    return this.#held !== undefined;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Delivers a message, unless the client has had it.
   * @param finalCursor - what the client gets instead of the event's id, where nothing follows
   * @returns a promise where the client should be given time to read what it has been sent
   * @throws TypeError where the message cannot be written as JSON
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
   * The log has stored a message late. If the client has had it here, without an id, a resume is to begin behind it.
   * @returns whether the client has been given a cursor
   */
  storedLate(message: JSONRPCMessage, eventId: string): boolean {
    const cursors = this.#unlogged?.take(messageEvent(message, undefined));
    if (cursors === undefined) return false;
    if (!this.follower) return cursors === this.#cursors && this.giveCursor(eventId);
    this.follower.passOver(eventId);
    return false;
  }

  /** Whether the client can come back to what it has had. */
  get hasCursor(): boolean {
    return this.#cursors > 0;
  }

  /**
   * Lets the client come back with this event as the last that it has seen, without a message.
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

  /** From now on deliveries wait for {@link release}, and a replay goes before them. */
  hold(): void {
    this.#held = [];
  }

  /**
   * Delivers a message from the log. What a resume replays has been bounded by the log.
   * @param isCursor - whether a resume is to begin behind it
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

  /** Ends behind everything that has been logged by now. */
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

  /** A stream that ended behind what the client leaves unread would be held for as long as the client likes. */
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
