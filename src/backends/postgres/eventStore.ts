import type { JSONRPCMessage } from '../../sdkTypes.js';
import { EventCursorError, EventStoreUnavailableError } from '../../errors.js';
import type { FollowableEventStore } from '../../ports/eventStore.js';
import { checkNumber } from '../../validate.js';
import { Database, type PostgresOptions } from './database.js';
import { eventSql } from './eventSql.js';
import { Sweeper } from './sweeper.js';
import { toText } from './text.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** The options of a {@link PostgresEventStore}. */
export interface PostgresEventStoreOptions extends PostgresOptions {
  /** Events kept per stream. Above that, the oldest are removed. @default 1000 */
  maxEventsPerStream?: number;
  /** Seconds that a stream is kept after its last event. @default 3600 */
  ttlSeconds?: number;
  /** Seconds that the stream of a POST is kept after its last answer; at most `ttlSeconds`. @default 300 */
  answeredTtlSeconds?: number;
}

/** Events per read. */
const BATCH = 500;

/**
 * The events of a session's streams, in Postgres 12 or later. Events are numbered by stream, whichever pod writes. An
 * event id is `<stream id>@<key of the stream>-<number>`.
 *
 * Call `migrate()` once before use.
 */
export class PostgresEventStore implements FollowableEventStore {
  readonly #database: Database;
  readonly #sql: ReturnType<typeof eventSql>;
  readonly #sweeper: Sweeper;
  readonly #maxEvents: number;
  readonly #ttlSeconds: number;
  readonly #answeredTtlSeconds: number;

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: PostgresEventStoreOptions) {
    keepSelf(this);
    this.#database = new Database({ ...options, table: undefined }, EventStoreUnavailableError);
    checkNumber('maxEventsPerStream', options.maxEventsPerStream, { min: 1, integer: true });
    checkNumber('ttlSeconds', options.ttlSeconds, { min: 1, max: 1_000_000_000, integer: true });
    checkNumber('answeredTtlSeconds', options.answeredTtlSeconds, { min: 1, max: 1_000_000_000, integer: true });
    this.#sql = eventSql(this.#database.tables);
    this.#maxEvents = options.maxEventsPerStream ?? 1000;
    this.#ttlSeconds = options.ttlSeconds ?? 3600;
    this.#answeredTtlSeconds = Math.min(options.answeredTtlSeconds ?? 300, this.#ttlSeconds);
    this.#sweeper = new Sweeper(this.#database, [this.#sql.sweep], Math.min(60_000, this.#ttlSeconds * 1000));
  }

  storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return this.#append(streamId, message, this.#ttlSeconds, false);
  }

  /** Marks the stream as complete: it is kept for `answeredTtlSeconds`. */
  storeLastEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return this.#append(streamId, message, this.#answeredTtlSeconds, true);
  }

  startEventId(streamId: string): string {
    return `${streamId}@${START}`;
  }

  /** Removes all streams of the session. */
  async deleteStreams(sessionId: string): Promise<void> {
    const id = toText(sessionId);
    // A semicolon is the next character after a colon.
    await this.#database.query(this.#sql.deleteStreams, [`${id}:`, `${id};`]);
  }

  async #append(streamId: string, message: JSONRPCMessage, ttlSeconds: number, isLast: boolean): Promise<string> {
    // Trimming a tenth at a time needs fewer deletes than trimming one by one.
    const trimEvery = Math.min(100, Math.ceil(this.#maxEvents / 10));
    const values = [toText(streamId), JSON.stringify(message), ttlSeconds, this.#maxEvents, trimEvery, isLast];
    const [row] = await this.#database.query(this.#sql.append, values);
    this.#sweeper.occasion();
    return `${streamId}@${row?.key}-${row?.number}`;
  }

  async latestEventId(streamId: string): Promise<string | null> {
    const [row] = await this.#database.query(this.#sql.latest, [toText(streamId)]);
    return row ? `${streamId}@${row.key}-${row.number}` : null;
  }

  /** The stream of a kept event, or of a `startEventId`; undefined for every other id. */
  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    const whole = streamStartingAt(eventId);
    if (whole !== undefined) return whole;
    const cursor = parseEventId(eventId);
    if (!cursor) return undefined;
    const { streamId, key, number } = cursor;
    const rows = await this.#database.query(this.#sql.has, [toText(streamId), key, number, this.#maxEvents]);
    return rows.length > 0 ? streamId : undefined;
  }

  /** @throws EventCursorError if the event is not kept: later events may be gone too */
  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> }
  ): Promise<string> {
    const whole = streamStartingAt(lastEventId);
    const cursor = whole === undefined ? parseEventId(lastEventId) : await this.#firstEventOf(whole);
    if (whole !== undefined && !cursor) return whole;
    if (!cursor) throw notKept();
    const { streamId, key } = cursor;
    let { number } = cursor;
    for (let isFirst = whole !== undefined; ; isFirst = false) {
      const values = [toText(streamId), key, number, this.#maxEvents, BATCH + 1];
      const found = await this.#database.query(this.#sql.from, values);
      // Also between batches: if the stream is written faster than it is read, there must be no gap.
      if (found[0]?.number !== number) throw notKept();
      const rows = isFirst ? found : found.slice(1);
      for (const row of rows) {
        number = String(row.number);
        const message = JSON.parse(String(row.message)) as JSONRPCMessage;
        // A priming event has an id and no message.
        if ('jsonrpc' in message) await send(`${streamId}@${key}-${number}`, message);
      }
      if (found.length <= BATCH) return streamId;
    }
  }

  /**
   * The first event of a stream; undefined if the stream is missing.
   * @throws EventCursorError if it was removed
   */
  async #firstEventOf(streamId: string): Promise<Cursor | undefined> {
    const [row] = await this.#database.query(this.#sql.first, [toText(streamId), this.#maxEvents]);
    if (!row) return undefined;
    if (row.number !== '1') throw notKept();
    return { streamId, key: String(row.key), number: '1' };
  }
}

const START = '0-0';

/** The stream whose `startEventId` this is; undefined if it is another id. */
function streamStartingAt(eventId: string): string | undefined {
  return eventId.endsWith(`@${START}`) ? eventId.slice(0, -START.length - 1) : undefined;
}

interface Cursor {
  streamId: string;
  key: string;
  number: string;
}

function notKept(): EventCursorError {
  return new EventCursorError('The event that the client saw last is not in the log');
}

function parseEventId(eventId: string): Cursor | undefined {
  const match = /^(.+)@([1-9]\d{0,17})-([1-9]\d{0,17})$/s.exec(eventId);
  return match ? { streamId: match[1] as string, key: match[2] as string, number: match[3] as string } : undefined;
}
