import { hash32 } from '../../ports/sessionId.js';
import type { SessionData, SessionFilter } from '../../ports/sessionStore.js';
import type { RedisIndexClient } from './client.js';
import type { RedisKeys } from './keys.js';
import type { Trips } from './commandBatcher.js';
import { Date } from '../../timers.js';

/** Ids taken from an index in one trip. */
const BATCH = 500;
/**
 * Redis keeps a sorted set in a third of the memory while it has no more than 128 members, so the ids of all sessions
 * are spread over so many sets: enough for 260,000 sessions. With more, each takes some 100 bytes more.
 */
const SHARES = 2048;
/** Shares read at the same time. */
const CONCURRENCY = 64;

/**
 * Which sessions there are, which are subscribed to what, and whose they are: sorted sets by the second until which a
 * session may live. An entry is written with the session and refreshed along with its record; what has outlived its
 * time is dropped when the set is written. A set lives in a slot of its own, so it is not changed in one step with the
 * session: readers ask whether a session is still there.
 */
export class SessionIndex {
  readonly #redis: RedisIndexClient;
  readonly #trips: Trips;
  readonly #keys: RedisKeys;
  readonly #seconds: number;

  /** @param seconds - how long an entry counts: longer than the time between two refreshes of a session's record */
  constructor(redis: RedisIndexClient, trips: Trips, keys: RedisKeys, seconds: number) {
    this.#redis = redis;
    this.#trips = trips;
    this.#keys = keys;
    this.#seconds = seconds;
  }

  async add(sessionId: string, { metadata }: Pick<SessionData, 'metadata'>): Promise<void> {
    const { subscriptions = [], principal } = metadata?.mcp ?? {};
    await Promise.all([
      this.#put(this.#keys.sessionIndex(shareOf(sessionId)), sessionId),
      ...(principal === undefined ? [] : [this.#put(this.#keys.principalIndex(principal), sessionId)]),
      ...subscriptions.map(uri => this.subscribe(sessionId, uri))
    ]);
  }

  subscribe(sessionId: string, uri: string): Promise<void> {
    return this.#put(this.#keys.subscriptionIndex(uri), sessionId);
  }

  async unsubscribe(sessionId: string, uri: string): Promise<void> {
    await this.#trips.ask(['zrem', this.#keys.subscriptionIndex(uri), sessionId]);
  }

  async remove(sessionId: string): Promise<void> {
    await this.#trips.ask(['zrem', this.#keys.sessionIndex(shareOf(sessionId)), sessionId]);
  }

  /** The ids in an index, in batches; some may be of sessions that are gone. */
  async *ids({ subscribedTo, principal }: SessionFilter): AsyncGenerator<string[], void, undefined> {
    if (principal !== undefined) return yield* this.#idsIn(this.#keys.principalIndex(principal));
    if (subscribedTo !== undefined) return yield* this.#idsIn(this.#keys.subscriptionIndex(subscribedTo));
    for (let first = 0; first < SHARES; first += CONCURRENCY) {
      const keys = Array.from({ length: CONCURRENCY }, (_, i) => this.#keys.sessionIndex(first + i));
      const ids = (await Promise.all(keys.map(key => collected(this.#idsIn(key))))).flat();
      if (ids.length > 0) yield ids;
    }
  }

  async *#idsIn(key: string): AsyncGenerator<string[], void, undefined> {
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

  async #put(key: string, sessionId: string): Promise<void> {
    const now = Math.floor(Date.now() / 1000);
    await this.#trips.ask(
      ['zremrangebyscore', key, '-inf', now],
      ['zadd', key, now + this.#seconds, sessionId],
      ['expire', key, this.#seconds]
    );
  }
}

function shareOf(sessionId: string): number {
  return hash32(sessionId) % SHARES;
}

async function collected(batches: AsyncIterable<string[]>): Promise<string[]> {
  const all: string[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}
