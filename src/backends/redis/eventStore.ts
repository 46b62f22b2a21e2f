import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { EventCursorError } from '../../errors.js';
import { type FollowableEventStore, partsOfStreamId } from '../../ports/eventStore.js';
import { checkNumber, checkOptionsObject, checkString } from '../../validate.js';
import { REDIS_EVENT_METHODS, type RedisEventClient } from './client.js';
import { Database } from './database.js';
import { DEFAULT_KEY_PREFIX, RedisKeys } from './keys.js';
import type { NodeRedisClient } from './nodeRedis.js';
import { APPEND_EVENT } from './eventScripts.js';
import { entriesOf, type StreamEntry, textOf, textsOf } from './replies.js';
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

/** Events read in one round trip. */
const BATCH = 500;
/** Streams removed in one round trip. */
const DELETED_AT_ONCE = 500;
/** Streams for which an entry id is remembered. */
const MAX_REMEMBERED = 5000;

/**
 * The event log of a session's streams: one Redis Stream per stream of the transport. Redis assigns the ids, so they are
 * ordered even if several pods write. An event id is `<stream id>@<Redis id>`.
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

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: RedisEventStoreOptions) {
    keepSelf(this);
    checkOptionsObject('options', options);
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

  storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return this.#append(streamId, message, this.#ttlSeconds);
  }

  /** Keeps the complete stream for `answeredTtlSeconds`. */
  async storeLastEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    const appended = this.#append(streamId, message, this.#answeredTtlSeconds);
    const { sessionId, name } = partsOfStreamId(streamId);
    if (sessionId !== undefined) {
      const index = this.#keys.completeStreams(sessionId);
      // Sent together but not awaited: the index may be on another node, and a stream missing from it expires soon.
      this.#database.script(SESSION_SCRIPTS.index, [index], this.#answeredTtlSeconds, name).catch(() => {});
    }
    return appended;
  }

  async deleteStreams(sessionId: string, streamIds: readonly string[]): Promise<void> {
    const index = this.#keys.completeStreams(sessionId);
    const names = textsOf(await this.#database.command('zrange', index, 0, -1));
    const all = [...new Set([...streamIds, ...names.map(name => `${sessionId}:${name}`)])];
    const keys = [index, ...all.map(streamId => this.#keys.events(streamId))];
    for (let i = 0; i < keys.length; i += DELETED_AT_ONCE) {
      const some = keys.slice(i, i + DELETED_AT_ONCE);
      await Promise.all(some.map(key => this.#database.command('unlink', key)));
    }
    for (const streamId of all) this.#latest.delete(streamId);
  }

  async #append(streamId: string, message: JSONRPCMessage, ttlSeconds: number): Promise<string> {
    const key = this.#keys.events(streamId);
    const text = JSON.stringify(message);
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
    const [entry] = await this.#read(cursor.streamId, cursor.id, cursor.id, 1);
    return entry?.[0] === cursor.id ? cursor.streamId : undefined;
  }

  /** @throws EventCursorError if the event is not in the log: the events after it may be lost too */
  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> }
  ): Promise<string> {
    const cursor = parseEventId(lastEventId);
    // One round trip reads the cursor's entry and the first events after it, without a gap between the two.
    const entries = cursor ? await this.#read(cursor.streamId, cursor.id, '+', BATCH + 1) : [];
    if (!cursor || entries.shift()?.[0] !== cursor.id) {
      throw new EventCursorError('The event that the client saw last is not in the log');
    }
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
