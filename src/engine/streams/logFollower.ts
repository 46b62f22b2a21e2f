import type { JSONRPCMessage, RequestId } from 'mcp-sdk-upstream/types.js';
import { EventCursorError } from '../../errors.js';
import type { Connection } from './connection.js';
import type { EventLog, LoggedStream } from './eventLog.js';
import type { ReportError } from '../../report.js';
import { isRequest, isResponse } from '../http/jsonRpc.js';

/** How many events a connection remembers, to know one that comes both from the log and from its sender. */
const REMEMBERED_EVENTS = 1000;

/** Behind so many events that were delivered while the log could not be read, it is not read from before them. */
const MAX_UNREAD_EVENTS = REMEMBERED_EVENTS / 2;

/** A stream is looked after so often, because another pod's word that there is something may get lost. */
const LOOK_EVERY_MS = 15_000;

/**
 * Gives a connection what its stream's log has, in the order of the log: several pods may write to a stream, and what
 * they tell each other may arrive in another order, or not at all. Each event is delivered once.
 */
export class Follower {
  readonly connection: Connection;
  readonly #log: EventLog;
  readonly #report: ReportError;
  /** The client has had this event and everything before it. */
  #cursor: string;
  readonly #events = new Set<string>();
  /** Events delivered beyond the cursor, because the log could not be read. */
  #unread = 0;
  /**
   * Whether several pods may write to the stream. One that was taken for dead may answer after all, behind the error: then
   * the first answer counts. A question may come both without an event id, because the log was late, and from the log.
   */
  readonly #isShared: boolean;
  readonly #asked = new Set<RequestId>();
  /** Events that the client has had without their ids. */
  readonly #passedOver = new Set<string>();
  readonly #answered = new Set<RequestId>();
  /** Whether the cursor is this pod's own: a client that has given one has had every event before it. */
  #isFresh = false;
  #expected: readonly RequestId[] = [];
  #reading: Promise<void> | undefined;
  #nextReading: Promise<void> | undefined;

  /** @param cursor - an event of the stream; what comes behind it is delivered */
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
   * @param finalCursor - the SDK's client comes back after an error; with this cursor it is known to have had all that
   *   there is
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

  /** From now on whatever is logged on the stream is read from the log, whoever tells of it. */
  follow(stream: LoggedStream, isFresh = false): void {
    this.#isFresh = isFresh;
    this.connection.follower = this;
    this.connection.every(LOOK_EVERY_MS, () => void this.#look(stream));
  }

  /**
   * Delivers what the log has behind the cursor by now.
   * @throws what the event store throws
   */
  read(): Promise<void> {
    // Whoever asks while the log is being read needs a reading that begins later; one does for all who ask.
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
    // Of a stream that was opened later: some stores replay what is a cursor and no message.
    if (!('jsonrpc' in message)) return;
    // The client has had it: a resume is to begin behind it.
    if (this.#passedOver.delete(eventId) || this.#hasAsked(message, eventId)) {
      this.#remember(this.#events, eventId);
      this.connection.giveCursor(eventId);
      return;
    }
    this.connection.replay(message, eventId);
  }

  /** The client has had this event without its id. */
  passOver(eventId: string): void {
    if (this.#events.has(eventId)) return;
    this.#passedOver.add(eventId);
    void this.read().catch(this.#report);
  }

  #hasAsked(message: JSONRPCMessage, eventId: string): boolean {
    return this.#isShared && isRequest(message) && this.#asked.has(message.id) && !this.#events.has(eventId);
  }

  /** A quiet stream's log expires: then it is followed from its new beginning. */
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
      // Logged before the stream was opened and sent after it: the client has not had it, and it is not after the cursor.
      // Without an id it leaves the client's cursor where it is.
      if (this.#isFresh && !this.#events.has(eventId)) this.connection.replay(message, eventId, false);
    } catch (error) {
      this.#report(error as Error);
      // No more from the cursor on: the log has expired. What else fails may have kept events back that came before.
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
