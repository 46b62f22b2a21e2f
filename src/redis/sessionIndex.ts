import type { SessionData, SessionFilter } from '../sessionStore.js';
import type { RedisIndexClient } from './client.js';
import type { RedisKeys } from './keys.js';

/** Ids taken from an index in one trip. */
const BATCH = 500;

/**
 * Which sessions there are, which are subscribed to what, and whose they are: sorted sets by the time until which a session may live.
 * An entry is written with the session and refreshed along with its record; what has outlived its time is dropped
 * when the set is read or written. A set lives in a slot of its own, so it is not changed in one step with the session:
 * readers ask whether a session is still there.
 */
export class SessionIndex {
  readonly #redis: RedisIndexClient;
  readonly #keys: RedisKeys;
  readonly #seconds: number;

  /** @param seconds - how long an entry counts: longer than the time between two refreshes of a session's record */
  constructor(redis: RedisIndexClient, keys: RedisKeys, seconds: number) {
    this.#redis = redis;
    this.#keys = keys;
    this.#seconds = seconds;
  }

  async add(sessionId: string, { metadata }: Pick<SessionData, 'metadata'>): Promise<void> {
    const { subscriptions = [], principal } = metadata?.mcp ?? {};
    await Promise.all([
      this.#put(this.#keys.sessionIndex(), sessionId),
      ...(principal === undefined ? [] : [this.#put(this.#keys.principalIndex(principal), sessionId)]),
      ...subscriptions.map(uri => this.subscribe(sessionId, uri))
    ]);
  }

  subscribe(sessionId: string, uri: string): Promise<void> {
    return this.#put(this.#keys.subscriptionIndex(uri), sessionId);
  }

  async unsubscribe(sessionId: string, uri: string): Promise<void> {
    await this.#redis.zrem(this.#keys.subscriptionIndex(uri), sessionId);
  }

  async remove(sessionId: string): Promise<void> {
    await this.#redis.zrem(this.#keys.sessionIndex(), sessionId);
  }

  /** The ids in an index, in batches; some may be of sessions that are gone. */
  async *ids(filter: SessionFilter): AsyncIterable<string[]> {
    const key = this.#keyOf(filter);
    await this.#redis.zremrangebyscore(key, '-inf', Date.now());
    // ZSCAN may give an entry twice while the set is being resized.
    const seen = new Set<string>();
    let cursor = '0';
    do {
      const [next, entries] = await this.#redis.zscan(key, cursor, 'COUNT', BATCH);
      cursor = next;
      const ids = entries.filter((id, index) => index % 2 === 0 && !seen.has(id));
      for (const id of ids) seen.add(id);
      if (ids.length > 0) yield ids;
    } while (cursor !== '0');
  }

  #keyOf({ subscribedTo, principal }: SessionFilter): string {
    if (principal !== undefined) return this.#keys.principalIndex(principal);
    return subscribedTo === undefined ? this.#keys.sessionIndex() : this.#keys.subscriptionIndex(subscribedTo);
  }

  async #put(key: string, sessionId: string): Promise<void> {
    const until = Date.now() + this.#seconds * 1000;
    const results = await this.#redis.pipeline().zadd(key, until, sessionId).expire(key, this.#seconds).exec();
    for (const [error] of results ?? []) if (error) throw error;
  }
}
