import type { JSONRPCMessage } from '../../sdkTypes.js';
import { EventCursorError } from '../../errors.js';
import { type FollowableEventStore, partsOfStreamId } from '../../ports/eventStore.js';
import { unref } from '../../deadline.js';
import { setTimeout } from '../../timers.js';
import { checkNumber, checkOptionsObject, checkString } from '../../validate.js';
import { REDIS_EVENT_METHODS, type RedisEventClient } from './client.js';
import { Database } from './database.js';
import { DEFAULT_KEY_PREFIX, RedisKeys } from './keys.js';
import type { NodeRedisClient } from './nodeRedis.js';
import { APPEND_EVENT } from './eventScripts.js';
import { entriesOf, integerOf, type StreamEntry, textOf, textsOf } from './replies.js';
import { SESSION_SCRIPTS } from './sessionScripts.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** The options of a {@link RedisEventStore}. */
export interface RedisEventStoreOptions {
  /** A client of ioredis, iovalkey or node-redis: single, Cluster or Sentinel. You configure and close it. */
  redis: RedisEventClient | NodeRedisClient;
  /** The prefix of every key. @default 'mcp:session:' */
  keyPrefix?: string;
  /** Events kept per stream, plus or minus a hundred; the oldest are removed first. @default 1000 */
  maxEventsPerStream?: number;
  /** Seconds that a stream is kept after its last event. @default 3600 */
  ttlSeconds?: number;
  /** Seconds that the stream of a POST is kept after its last response; at most `ttlSeconds`. @default 300 */
  answeredTtlSeconds?: number;
}

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof RedisEventStoreOptions, true>> = {
  redis: true,
  keyPrefix: true,
  maxEventsPerStream: true,
  ttlSeconds: true,
  answeredTtlSeconds: true
};

/** Events read in one round trip. */
const BATCH = 500;
/** Streams removed in one round trip. */
const DELETED_AT_ONCE = 500;
/** The id of the only event of a stream. Ids that Redis assigns begin with the time, so they are greater. */
const ONLY = '0-1';
/** Stands before every event. */
const START = '0-0';
/** How long the name of a complete stream may wait for others before it is indexed. */
const INDEX_AFTER_MS = 100;
/** As many names are indexed at once. */
const MAX_UNINDEXED = 1000;
/** Streams for which an entry id is remembered. */
const MAX_REMEMBERED = 5000;

/**
 * The event log of a session's streams: one Redis Stream per stream of the transport. Redis assigns the ids, so they are
 * ordered even if several pods write. An event id is `<stream id>@<Redis id>`. If the first event of a stream is the
 * last, a string is enough for it: most requests have only their response.
 */
export class RedisEventStore implements FollowableEventStore {
  readonly #database: Database;
  readonly #keys: RedisKeys;
  readonly #maxEvents: number;
  readonly #ttlSeconds: number;
  readonly #answeredTtlSeconds: number;
  /** Distinguishes the calls of this store from those of other stores. */
  readonly #name = globalThis.crypto.randomUUID().slice(0, 8);
  #calls = 0;
  /** By stream, the id of an entry that exists or existed. */
  readonly #latest = new Map<string, string>();
  /** By session, the names of complete streams that are not in the index yet. */
  #unindexed = new Map<string, string[]>();
  #unindexedCount = 0;

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: RedisEventStoreOptions) {
    keepSelf(this);
    checkOptionsObject('options', options, OPTION_NAMES);
    checkString('keyPrefix', options.keyPrefix);
    checkNumber('maxEventsPerStream', options.maxEventsPerStream, { min: 1, integer: true });
    checkNumber('ttlSeconds', options.ttlSeconds, { min: 1, max: 1_000_000_000, integer: true });
    checkNumber('answeredTtlSeconds', options.answeredTtlSeconds, { min: 1, max: 1_000_000_000, integer: true });
    const scripts = [APPEND_EVENT, SESSION_SCRIPTS.index];
    this.#database = new Database(options.redis, REDIS_EVENT_METHODS, { scripts });
    this.#keys = new RedisKeys(options.keyPrefix ?? DEFAULT_KEY_PREFIX);
    this.#maxEvents = options.maxEventsPerStream ?? 1000;
    this.#ttlSeconds = options.ttlSeconds ?? 3600;
    this.#answeredTtlSeconds = Math.min(options.answeredTtlSeconds ?? 300, this.#ttlSeconds);
  }

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return this.#append(streamId, JSON.stringify(message), this.#ttlSeconds);
  }

  /** Keeps the complete stream for `answeredTtlSeconds`. */
  async storeLastEvent(streamId: string, message: JSONRPCMessage, text = JSON.stringify(message)): Promise<string> {
    const appended = this.#append(streamId, text, this.#answeredTtlSeconds);
    const { sessionId, name } = partsOfStreamId(streamId);
    // Sent together but not awaited: the index may be on another node.
    if (sessionId !== undefined) this.#index(sessionId, [name]);
    return appended;
  }

  /** Keeps the stream for `answeredTtlSeconds`. */
  async storeOnlyEvent(streamId: string, message: JSONRPCMessage, text = JSON.stringify(message)): Promise<string> {
    const { sessionId, name } = partsOfStreamId(streamId);
    if (sessionId === undefined) return this.storeLastEvent(streamId, message, text);
    const key = this.#keys.onlyEvent(sessionId, name);
    await this.#database.batch(['set', key, text, 'EX', this.#answeredTtlSeconds]);
    this.#indexLater(sessionId, name);
    return `${streamId}@${ONLY}`;
  }

  startEventId(streamId: string): string {
    return `${streamId}@${START}`;
  }

  async deleteStreams(sessionId: string, streamIds: readonly string[]): Promise<void> {
    const index = this.#keys.completeStreams(sessionId);
    // Taken before the index is read: names that are indexed meanwhile are in neither otherwise.
    const unindexed = this.#unindexed.get(sessionId) ?? [];
    this.#unindexed.delete(sessionId);
    const indexed = textsOf(await this.#database.command('zrange', index, 0, -1)) as string[];
    const names = [...indexed, ...unindexed];
    const all = [...new Set([...streamIds, ...names.map(name => `${sessionId}:${name}`)])];
    const onlyEvents = names.map(name => this.#keys.onlyEvent(sessionId, name));
    const keys = [index, ...onlyEvents, ...all.map(streamId => this.#keys.events(streamId))];
    for (let i = 0; i < keys.length; i += DELETED_AT_ONCE) {
      const some = keys.slice(i, i + DELETED_AT_ONCE);
      await Promise.all(some.map(key => this.#database.command('unlink', key)));
    }
    for (const streamId of all) this.#latest.delete(streamId);
  }

  async #append(streamId: string, text: string, ttlSeconds: number): Promise<string> {
    const key = this.#keys.events(streamId);
    const call = `${this.#name}.${(++this.#calls).toString(36)}`;
    const since = this.#latest.get(streamId);
    const from = since ? `(${since}` : '-';
    const reply = await this.#database.script(APPEND_EVENT, [key], this.#maxEvents, ttlSeconds, text, call, from);
    const id = textOf(reply) as string;
    this.#saw(streamId, id);
    return `${streamId}@${id}`;
  }

  async latestEventId(streamId: string): Promise<string | null> {
    const key = this.#keys.events(streamId);
    const [latest] = entriesOf(await this.#database.command('xrevrange', key, '+', '-', 'COUNT', 1));
    if (!latest) return null;
    this.#saw(streamId, latest[0]);
    return `${streamId}@${latest[0]}`;
  }

  /** The stream of an event; undefined if the event is not in the log. */
  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    const cursor = parseEventId(eventId);
    if (!cursor) return undefined;
    if (cursor.id === START) return cursor.streamId;
    if (cursor.id === ONLY) return (await this.#onlyEventOf(cursor.streamId)) ? cursor.streamId : undefined;
    const [entry] = await this.#read(cursor.streamId, cursor.id, cursor.id, 1);
    return entry?.[0] === cursor.id ? cursor.streamId : undefined;
  }

  /** @throws EventCursorError if the event is not in the log: the events after it may be lost too */
  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> }
  ): Promise<string> {
    const cursor = parseEventId(lastEventId);
    const entries = cursor && (await this.#entriesAfter(cursor));
    if (!entries) throw new EventCursorError('The event that the client saw last is not in the log');
    const { streamId } = cursor;
    for (let batch = entries; ;) {
      for (const [id, [, text]] of batch) {
        const message = JSON.parse(text as string) as JSONRPCMessage;
        // A priming event has an id and no message.
        if ('jsonrpc' in message) await send(`${streamId}@${id}`, message);
      }
      const last = batch.at(-1);
      if (last) this.#saw(streamId, last[0]);
      if (!last || batch.length < BATCH) return streamId;
      batch = await this.#read(streamId, `(${last[0]}`, '+', BATCH);
    }
  }

  /** The first entries after a cursor; undefined if it is not in the log, or earlier entries were removed. */
  async #entriesAfter({ streamId, id }: Cursor): Promise<StreamEntry[] | undefined> {
    if (id !== START && id !== ONLY) {
      // One round trip reads the cursor's entry and the first events after it, without a gap between the two.
      const entries = await this.#read(streamId, id, '+', BATCH + 1);
      return entries.shift()?.[0] === id ? entries : undefined;
    }
    const key = this.#keys.events(streamId);
    const [only, [length, replies]] = await Promise.all([
      this.#onlyEventOf(streamId),
      this.#database.batch(['xlen', key], ['xrange', key, '-', '+', 'COUNT', BATCH])
    ]);
    const isKept = id === START ? integerOf(length) < this.#maxEvents : only !== undefined;
    if (!isKept) return undefined;
    const entries = entriesOf(replies);
    return only !== undefined && id === START ? [[ONLY, ['message', only]], ...entries] : entries;
  }

  async #onlyEventOf(streamId: string): Promise<string | undefined> {
    const { sessionId, name } = partsOfStreamId(streamId);
    if (sessionId === undefined) return undefined;
    const [text] = await this.#database.batch(['get', this.#keys.onlyEvent(sessionId, name)]);
    return textOf(text) ?? undefined;
  }

  /** Names of short streams wait for each other, so that a busy session needs few commands for them. */
  #indexLater(sessionId: string, name: string): void {
    const names = this.#unindexed.get(sessionId);
    if (names) names.push(name);
    else this.#unindexed.set(sessionId, [name]);
    if (this.#unindexedCount++ === 0) unref(setTimeout(() => this.#indexAll(), INDEX_AFTER_MS));
    else if (this.#unindexedCount === MAX_UNINDEXED) this.#indexAll();
  }

  #indexAll(): void {
    const unindexed = this.#unindexed;
    this.#unindexed = new Map();
    this.#unindexedCount = 0;
    for (const [sessionId, names] of unindexed) this.#index(sessionId, names);
  }

  /** Notes complete streams for `deleteStreams`. Not awaited: a stream that is missing from the index expires soon. */
  #index(sessionId: string, names: readonly string[]): void {
    const index = this.#keys.completeStreams(sessionId);
    this.#database.script(SESSION_SCRIPTS.index, [index], this.#answeredTtlSeconds, ...names).catch(() => {});
  }

  async #read(streamId: string, from: string, to: string, count: number): Promise<StreamEntry[]> {
    const key = this.#keys.events(streamId);
    return entriesOf(await this.#database.command('xrange', key, from, to, 'COUNT', count));
  }

  /** Remembers an entry after which the next append searches. Kept for the most recently used streams. */
  #saw(streamId: string, id: string): void {
    this.#latest.delete(streamId);
    this.#latest.set(streamId, id);
    if (this.#latest.size > MAX_REMEMBERED) this.#latest.delete(this.#latest.keys().next().value as string);
  }
}

interface Cursor {
  streamId: string;
  /** The id of the entry in the Redis Stream. */
  id: string;
}

/** Both parts of an entry's id are unsigned 64-bit numbers: Redis refuses a larger one with an error. */
const MAX_PART = 2n ** 64n - 1n;

function parseEventId(eventId: string): Cursor | undefined {
  const match = /^(.+)@((\d{1,20})-(\d{1,20}))$/.exec(eventId);
  if (!match) return undefined;
  const [, streamId, id, ...parts] = match as unknown as [string, string, string, string, string];
  return parts.some(part => BigInt(part) > MAX_PART) ? undefined : { streamId, id };
}
