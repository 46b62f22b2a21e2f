import type { JSONRPCMessage, RequestId } from '../../sdkTypes.js';
import { EventCursorError } from '../../errors.js';
import type { Connection, Delivery } from './connection.js';
import type { EventLog, LoggedStream } from './eventLog.js';
import type { ReportError } from '../../report.js';
import { ReceivedMessages, REMEMBERED_EVENTS } from './receivedMessages.js';

/** After this many events were delivered without the log, the cursor skips them instead of rereading them. */
const MAX_UNREAD_EVENTS = REMEMBERED_EVENTS / 2;

/** How often the log is read without a message of another pod, because such a message may get lost. */
const READ_EVERY_MS = 15_000;

/** The log ends with the session. A session that was ended on another pod ends its streams here within this time. */
const END_MS = 1000;

export interface LogDeliveryOptions {
  /** An event of the stream. The events after it are delivered. */
  readonly cursor: string;
  readonly log: EventLog;
  readonly report: ReportError;
  /** Whether several pods may write to the stream. */
  readonly isShared: boolean;
  /** The requests that the stream answers, if it is the stream of a POST and may end on this pod. */
  readonly requestIds?: readonly RequestId[];
  /**
   * Sent with a final error, because the SDK's client resumes after an error: it shows that the client has received
   * everything.
   */
  readonly finalCursor?: string;
}

/** A message that arrived during a replay. */
interface WaitingMessage {
  message: JSONRPCMessage;
  eventId: string | undefined;
  finalCursor: string | undefined;
}

/**
 * Delivers a stream to a client that has a cursor: first what the log has after the cursor, then the new messages. Each
 * message is delivered once.
 *
 * It is in one of three states. *Replaying*, until {@link endReplay}: the log is replayed, and other messages wait. *Direct*:
 * messages are delivered as they arrive. *Following*, after {@link follow}: events are delivered in the order of the
 * log, because several pods write to the stream, and their messages to each other may arrive in another order or get
 * lost.
 */
export class LogDelivery implements Delivery {
  readonly connection: Connection;
  readonly #log: EventLog;
  readonly #report: ReportError;
  readonly #received: ReceivedMessages;
  readonly #requestIds: readonly RequestId[];
  readonly #finalCursor: string | undefined;
  /** The client has received this event and all earlier ones. */
  #cursor: string;
  /** The number of events delivered after the cursor because the log could not be read. */
  #unread = 0;
  /** The messages that wait for the end of the replay; undefined if there is no replay. */
  #waiting: WaitingMessage[] | undefined;
  #closesAfterReplay = false;
  #isFollowing = false;
  /** Whether this pod chose the cursor. A client that sent the cursor has received every earlier event. */
  #isNewStream = false;
  #reading: Promise<void> | undefined;
  #nextReading: Promise<void> | undefined;

  constructor(connection: Connection, options: LogDeliveryOptions) {
    this.connection = connection;
    this.#cursor = options.cursor;
    this.#log = options.log;
    this.#report = options.report;
    this.#received = new ReceivedMessages(options.isShared);
    this.#requestIds = options.requestIds ?? [];
    this.#finalCursor = options.finalCursor;
  }

  get cursor(): string {
    return this.#cursor;
  }

  get isReplaying(): boolean {
    return this.#waiting !== undefined;
  }

  /** The requests of the stream whose answers the client does not have. */
  get unanswered(): RequestId[] {
    return this.#requestIds.filter(id => !this.#received.hasAnswerTo(id));
  }

  /** Whether the client has every answer of the stream. */
  get complete(): boolean {
    return this.#requestIds.length > 0 && this.unanswered.length === 0;
  }

  /** Makes other messages wait until {@link endReplay}, so that the replay goes before them. */
  startReplay(): void {
    this.#waiting = [];
  }

  endReplay(): void {
    if (!this.#waiting) return;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    for (const { message, eventId, finalCursor } of waiting) void this.deliver(message, eventId, finalCursor);
    if (this.#closesAfterReplay) this.connection.close();
  }

  closesLater(): boolean {
    if (this.#waiting) this.#closesAfterReplay = true;
    return this.#waiting !== undefined;
  }

  /** From now on the events of the stream are delivered from the log, whichever pod announces them. */
  follow(stream: LoggedStream, isNewStream = false): void {
    this.#isNewStream = isNewStream;
    this.#isFollowing = true;
    this.connection.every(READ_EVERY_MS, () => void this.#readAtInterval(stream));
  }

  deliver(
    message: JSONRPCMessage,
    eventId: string | undefined,
    finalCursor = this.#finalCursorFor(message)
  ): void | Promise<void> {
    if (this.#isFollowing && eventId !== undefined) return this.#deliverInOrder(message, eventId);
    if (this.#waiting) this.#waiting.push({ message, eventId, finalCursor });
    else if (this.#received.add(message, eventId)) return this.connection.send(message, finalCursor ?? eventId);
  }

  /** Delivers an event of the log. */
  deliverLogged(eventId: string, message: JSONRPCMessage): void {
    this.#cursor = eventId;
    this.#unread = 0;
    // An event without a message, stored when the stream was opened later. Some stores replay it.
    if (!('jsonrpc' in message)) return;
    // A resume must start after an event that the client has received without its id.
    if (this.#received.takeWithoutId(message, eventId)) this.connection.giveCursor(eventId);
    else this.#replay(message, eventId);
  }

  storedLate(eventId: string): boolean {
    if (this.#isFollowing && this.#received.addWithoutId(eventId)) void this.read().catch(this.#report);
    return this.#isFollowing;
  }

  async catchUp(): Promise<void> {
    if (this.#isFollowing) await this.read();
  }

  /**
   * Delivers the events that the log has after the cursor.
   * @throws the errors of the event store
   */
  read(): Promise<void> {
    // A call during a read needs a read that begins later. One later read serves all such calls.
    this.#nextReading ??= (this.#reading ?? Promise.resolve())
      .catch(() => {})
      .then(() => {
        this.#reading = this.#nextReading;
        this.#nextReading = undefined;
        return this.#read();
      });
    return this.#nextReading;
  }

  async #read(): Promise<void> {
    if (this.connection.ended) return;
    try {
      await this.#log.replayAfter(this.#cursor, async (eventId, message) => this.deliverLogged(eventId, message));
    } catch (error) {
      // The session has ended meanwhile on another pod, which has deleted its streams.
      if (!this.connection.ended || !(error instanceof EventCursorError)) throw error;
    }
  }

  /** Reads the log. The log of a quiet stream expires: then it is followed from its new beginning. */
  async #readAtInterval(stream: LoggedStream): Promise<void> {
    try {
      await this.read();
    } catch (error) {
      if (!(error instanceof EventCursorError)) return this.#report(error as Error);
      const latest = await this.#log.latestOf(stream);
      if (latest === undefined) return;
      this.#cursor = latest;
      this.connection.giveCursor(latest);
    }
  }

  /** This pod, or another one, has logged an event. Earlier events are delivered before it. */
  async #deliverInOrder(message: JSONRPCMessage, eventId: string): Promise<void> {
    try {
      await this.read();
      // Logged before the stream was opened and sent after it: the client has not received it, and it is not after the
      // cursor. It is sent without an id, so the client's cursor does not change.
      if (this.#isNewStream && !this.#received.has(eventId)) this.#replay(message, eventId, false);
    } catch (error) {
      const isExpired = error instanceof EventCursorError;
      if (isExpired) this.connection.after(END_MS, () => this.#report(error));
      else this.#report(error as Error);
      // An expired cursor finds no events: move it. After another error it stays: earlier events may be unread.
      if (isExpired || ++this.#unread > MAX_UNREAD_EVENTS) this.deliverLogged(eventId, message);
      else this.#replay(message, eventId);
    }
  }

  /** @param isCursor - whether a resume must start after the event */
  #replay(message: JSONRPCMessage, eventId: string, isCursor = true): void {
    const finalCursor = this.#finalCursorFor(message);
    if (this.connection.ended || !this.#received.add(message, eventId)) return;
    this.connection.sendLogged(message, isCursor ? (finalCursor ?? eventId) : undefined, this.isReplaying);
  }

  /** The cursor that replaces the event's id if nothing follows the message. Called before the message is noted. */
  #finalCursorFor(message: JSONRPCMessage): string | undefined {
    if (this.#finalCursor === undefined || !('error' in message)) return undefined;
    const { unanswered } = this;
    return unanswered.length === 1 && unanswered[0] === message.id ? this.#finalCursor : undefined;
  }
}
