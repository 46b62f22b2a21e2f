import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { EventCursorError } from '../errors.js';
import type { FollowableEventStore } from '../eventStore.js';
import { checkNumber, checkOptionsObject, checkString } from '../validate.js';
import { REDIS_EVENT_METHODS, redisClient, type RedisEventClient } from './client.js';
import { answerOf } from './answers.js';
import { DEFAULT_KEY_PREFIX, RedisKeys } from './keys.js';
import type { NodeRedisClient } from './nodeRedis.js';
import { type ScriptedEventClient, withEventScripts } from './scripts.js';

export interface RedisEventStoreOptions {
  /** A client of ioredis, iovalkey or node-redis: single, Cluster or Sentinel. It stays yours. */
  redis: RedisEventClient | NodeRedisClient;
  /** Put before every key. @default 'mcp:session:' */
  keyPrefix?: string;
  /** Events kept of a stream, give or take a hundred; over it the oldest go. @default 1000 */
  maxEventsPerStream?: number;
  /** Seconds that a stream is kept after its last event. @default 3600 */
  ttlSeconds?: number;
}

/** Events read in one trip. */
const BATCH = 500;

/**
 * What was sent on a session's streams, in Redis Streams: one per stream of the transport. Ids are given by Redis, so
 * they are ordered whichever pod writes. An event id is `<stream id>@<Redis id>`.
 */
export class RedisEventStore implements FollowableEventStore {
  readonly #redis: RedisEventClient;
  readonly #scripts: ScriptedEventClient;
  readonly #keys: RedisKeys;
  readonly #maxEvents: number;
  readonly #ttlSeconds: number;
  /** Tells the calls of this store from those of others. */
  readonly #name = globalThis.crypto.randomUUID().slice(0, 8);
  #calls = 0;

  /** @throws InvalidOptionError */
  constructor(options: RedisEventStoreOptions) {
    checkOptionsObject('options', options);
    checkString('keyPrefix', options.keyPrefix);
    checkNumber('maxEventsPerStream', options.maxEventsPerStream, { min: 1, integer: true });
    checkNumber('ttlSeconds', options.ttlSeconds, { min: 1, max: 1_000_000_000, integer: true });
    this.#redis = redisClient(options.redis, REDIS_EVENT_METHODS);
    this.#scripts = withEventScripts(this.#redis);
    this.#keys = new RedisKeys(options.keyPrefix ?? DEFAULT_KEY_PREFIX);
    this.#maxEvents = options.maxEventsPerStream ?? 1000;
    this.#ttlSeconds = options.ttlSeconds ?? 3600;
  }

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    const key = this.#keys.events(streamId);
    const text = JSON.stringify(message);
    const call = `${this.#name}.${(++this.#calls).toString(36)}`;
    const id = await answerOf(this.#scripts.anypodAppendEvent(key, this.#maxEvents, this.#ttlSeconds, text, call));
    return `${streamId}@${id}`;
  }

  async latestEventId(streamId: string): Promise<string | null> {
    const [latest] = await answerOf(this.#redis.xrevrange(this.#keys.events(streamId), '+', '-', 'COUNT', 1));
    return latest ? `${streamId}@${latest[0]}` : null;
  }

  /** The stream of an event that is kept; undefined for every other id. */
  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    const cursor = parseEventId(eventId);
    return cursor && (await this.#isKept(cursor)) ? cursor.streamId : undefined;
  }

  /** @throws EventCursorError where the event is not kept: what followed it may be gone too */
  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> }
  ): Promise<string> {
    const cursor = parseEventId(lastEventId);
    if (!cursor || !(await this.#isKept(cursor))) {
      throw new EventCursorError('The event that the client saw last is not in the log');
    }
    const { streamId } = cursor;
    let { id } = cursor;
    for (;;) {
      const entries = await answerOf(this.#redis.xrange(this.#keys.events(streamId), `(${id}`, '+', 'COUNT', BATCH));
      for (const [entryId, [, text]] of entries) {
        const message = JSON.parse(text as string) as JSONRPCMessage;
        // A priming event has an id and no message.
        if ('jsonrpc' in message) await send(`${streamId}@${entryId}`, message);
        id = entryId;
      }
      if (entries.length < BATCH) return streamId;
    }
  }

  async #isKept({ streamId, id }: Cursor): Promise<boolean> {
    const entries = await answerOf(this.#redis.xrange(this.#keys.events(streamId), id, id, 'COUNT', 1));
    return entries.length === 1;
  }
}

interface Cursor {
  streamId: string;
  /** Of the entry in the Redis Stream. */
  id: string;
}

function parseEventId(eventId: string): Cursor | undefined {
  const match = /^(.+)@(\d{1,20}-\d{1,20})$/.exec(eventId);
  return match ? { streamId: match[1] as string, id: match[2] as string } : undefined;
}
