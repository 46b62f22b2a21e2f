import type { JSONRPCMessage, RequestId } from 'mcp-sdk-upstream/types.js';
import { EventCursorError } from '../../errors.js';
import type { Connection } from './connection.js';
import type { EventLog, LoggedStream } from './eventLog.js';
import type { ReportError } from '../../report.js';
import { isRequest, isResponse } from '../http/jsonRpc.js';

/** The number of events a connection remembers, to detect one that comes both from the log and from its sender. */
const REMEMBERED_EVENTS = 1000;

/** After this many events were delivered without the log, the cursor skips them instead of rereading them. */
const MAX_UNREAD_EVENTS = REMEMBERED_EVENTS / 2;

/** How often the log is read without a message of another pod, because such a message may get lost. */
const LOOK_EVERY_MS = 15_000;

/**
 * Delivers a stream's log to a connection, in the order of the log. Several pods may write to a stream. Their messages
 * to each other may arrive in another order or get lost. Each event is delivered once.
 */
export class Follower {
  readonly connection: Connection;
  readonly #log: EventLog;
  readonly #report: ReportError;
  /** The client has received this event and all earlier ones. */
  #cursor: string;
  readonly #events = new Set<string>();
  /** The number of events delivered after the cursor because the log could not be read. */
  #unread = 0;
  /**
   * Whether several pods may write to the stream. A pod that was considered dead may still answer after the error: then
   * the first answer counts. A request of the server may come both without an event id, because the log was late, and
   * from the log.
   */
  readonly #isShared: boolean;
  readonly #asked = new Set<RequestId>();
  /** Events that the client has received without their ids. */
  readonly #passedOver = new Set<string>();
  readonly #answered = new Set<RequestId>();
  /** Whether this pod chose the cursor. A client that sent the cursor has received every earlier event. */
  #isFresh = false;
  #expected: readonly RequestId[] = [];
  #reading: Promise<void> | undefined;
  #nextReading: Promise<void> | undefined;

  /** @param cursor - an event of the stream; the events after it are delivered */
  constructor(connection: Connection, cursor: string, log: EventLog, report: ReportError, isShared: boolean) {
    this.connection = connection;
    this.#cursor = cursor;
    this.#log = log;
    this.#report = report;
    this.#isShared = isShared;
    connection.filter = (message, eventId) => this.#isNew(message, eventId);
  }

  get cursor(): string {
    return this.#cursor;
  }

  /**
   * @param requestIds - the requests that the stream answers
   * @param finalCursor - sent with a final error, because the SDK's client resumes after an error: it shows that the
   *   client has received everything
   */
  expect(requestIds: readonly RequestId[], finalCursor: string): void {
    this.#expected = requestIds;
    this.connection.finalCursor = message => (this.#isFinalError(message) ? finalCursor : undefined);
  }

  get unanswered(): RequestId[] {
    return this.#expected.filter(id => !this.#answered.has(id));
  }

  get complete(): boolean {
    return this.#expected.length > 0 && this.unanswered.length === 0;
  }

  /** From now on the events of the stream are delivered from the log, whichever pod announces them. */
  follow(stream: LoggedStream, isFresh = false): void {
    this.#isFresh = isFresh;
    this.connection.follower = this;
    this.connection.every(LOOK_EVERY_MS, () => void this.#look(stream));
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

  /** Delivers an event of the stream. */
  add(eventId: string, message: JSONRPCMessage): void {
    this.#cursor = eventId;
    this.#unread = 0;
    // An event without a message, stored when the stream was opened later. Some stores replay it.
    if (!('jsonrpc' in message)) return;
    // The client has received it: a resume must start after it.
    if (this.#passedOver.delete(eventId) || this.#hasAsked(message, eventId)) {
      this.#remember(this.#events, eventId);
      this.connection.giveCursor(eventId);
      return;
    }
    this.connection.replay(message, eventId);
  }

  /** The client has received this event without its id. */
  passOver(eventId: string): void {
    if (this.#events.has(eventId)) return;
    this.#passedOver.add(eventId);
    void this.read().catch(this.#report);
  }

  #hasAsked(message: JSONRPCMessage, eventId: string): boolean {
    return this.#isShared && isRequest(message) && this.#asked.has(message.id) && !this.#events.has(eventId);
  }

  /** Reads the log. The log of a quiet stream expires: then it is followed from its new beginning. */
  async #look(stream: LoggedStream): Promise<void> {
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

  /** Another pod, or this one, has logged an event. */
  async told(message: JSONRPCMessage, eventId: string): Promise<void> {
    try {
      await this.read();
      // Logged before the stream was opened and sent after it: the client has not received it, and it is not after the
      // cursor. It is sent without an id, so the client's cursor does not change.
      if (this.#isFresh && !this.#events.has(eventId)) this.connection.replay(message, eventId, false);
    } catch (error) {
      this.#report(error as Error);
      // An expired cursor finds no events: move it. After another error it stays: earlier events may be unread.
      if (error instanceof EventCursorError || ++this.#unread > MAX_UNREAD_EVENTS) this.add(eventId, message);
      else this.connection.replay(message, eventId);
    }
  }

  async #read(): Promise<void> {
    if (this.connection.ended) return;
    await this.#log.replayAfter(this.#cursor, async (eventId, message) => this.add(eventId, message));
  }

  #isFinalError(message: JSONRPCMessage): boolean {
    if (!('error' in message)) return false;
    const { unanswered } = this;
    return unanswered.length === 1 && unanswered[0] === message.id;
  }

  #isNew(message: JSONRPCMessage, eventId: string | undefined): boolean {
    if (eventId !== undefined) {
      if (this.#events.has(eventId)) return false;
      this.#remember(this.#events, eventId);
    }
    if (!this.#isShared) return true;
    if (isRequest(message)) {
      if (this.#asked.has(message.id)) return false;
      this.#remember(this.#asked, message.id);
    }
    if (!isResponse(message) || message.id === undefined) return true;
    if (this.#answered.has(message.id)) return false;
    this.#answered.add(message.id);
    return true;
  }

  #remember<T>(known: Set<T>, id: T): void {
    known.add(id);
    if (known.size > REMEMBERED_EVENTS) known.delete(known.values().next().value as T);
  }
}
