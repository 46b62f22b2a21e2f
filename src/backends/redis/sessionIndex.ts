import { hash32 } from '../../ports/sessionId.js';
import type { SessionData, SessionFilter } from '../../ports/sessionStore.js';
import type { Database } from './database.js';
import type { RedisKeys } from './keys.js';
import { scannedOf } from './replies.js';
import { SESSION_SCRIPTS } from './sessionScripts.js';

/** Ids read from an index in one round trip. */
const BATCH = 500;
/**
 * The ids of all sessions are spread over this many sets, because a sorted set of up to 128 members takes a third of the
 * memory in Redis. This is enough for 260,000 sessions; with more, each session takes some 100 bytes more.
 */
export const SESSION_INDEX_SHARES = 2048;
/** Shares read at the same time. */
const CONCURRENCY = 64;

/**
 * Indexes of all sessions, of those subscribed to a resource, and of those that belong to a principal. Each is a sorted
 * set by the second, on Redis' clock, until which a session may live. An entry is written with the session and refreshed
 * with its record. Expired entries are removed when the set is written. A set and a session may be in different slots,
 * so they do not change in one step: readers check whether a session still exists.
 */
export class SessionIndex {
  readonly #database: Database;
  readonly #keys: RedisKeys;
  readonly #seconds: number;

  /** @param seconds - how long an entry is valid: longer than the time between two refreshes of a session's record */
  constructor(database: Database, keys: RedisKeys, seconds: number) {
    this.#database = database;
    this.#keys = keys;
    this.#seconds = seconds;
  }

  async add(sessionId: string, data: Pick<SessionData, 'metadata'>): Promise<void> {
    await Promise.all(this.#keysOf(sessionId, data).map(key => this.#put(key, sessionId)));
  }

  subscribe(sessionId: string, uri: string): Promise<void> {
    return this.#put(this.#keys.subscriptionIndex(uri), sessionId);
  }

  async unsubscribe(sessionId: string, uri: string): Promise<void> {
    // Not in a batch: that leaves later, so it could follow a subscription that the record has after this change.
    await this.#database.command('zrem', this.#keys.subscriptionIndex(uri), sessionId);
  }

  async remove(sessionId: string, data: Pick<SessionData, 'metadata'>): Promise<void> {
    await Promise.all(this.#keysOf(sessionId, data).map(key => this.#take(key, sessionId)));
  }

  /** The ids in an index, in batches. Some may belong to sessions that no longer exist. */
  async *ids({ subscribedTo, principal }: SessionFilter): AsyncGenerator<string[], void, undefined> {
    if (principal !== undefined) return yield* this.#idsIn(this.#keys.principalIndex(principal));
    if (subscribedTo !== undefined) return yield* this.#idsIn(this.#keys.subscriptionIndex(subscribedTo));
    for (let first = 0; first < SESSION_INDEX_SHARES; first += CONCURRENCY) {
      const keys = Array.from({ length: CONCURRENCY }, (_, i) => this.#keys.sessionIndex(first + i));
      const ids = (await Promise.all(keys.map(key => collected(this.#idsIn(key))))).flat();
      if (ids.length > 0) yield ids;
    }
  }

  async *#idsIn(key: string): AsyncGenerator<string[], void, undefined> {
    // ZSCAN may return an entry twice while the set is resized.
    const seen = new Set<string>();
    let cursor = '0';
    do {
      const [next, members] = scannedOf(await this.#database.command('zscan', key, cursor, 'COUNT', BATCH));
      cursor = next;
      const ids = members.filter(id => !seen.has(id));
      for (const id of ids) seen.add(id);
      if (ids.length > 0) yield ids;
    } while (cursor !== '0');
  }

  /** The keys of the indexes that contain the session. */
  #keysOf(sessionId: string, { metadata }: Pick<SessionData, 'metadata'>): string[] {
    const { subscriptions = [], principal } = metadata?.mcp ?? {};
    const keys = [this.#keys.sessionIndex(shareOf(sessionId))];
    if (principal !== undefined) keys.push(this.#keys.principalIndex(principal));
    return [...keys, ...subscriptions.map(uri => this.#keys.subscriptionIndex(uri))];
  }

  async #take(key: string, sessionId: string): Promise<void> {
    await this.#database.batch(['zrem', key, sessionId]);
  }

  async #put(key: string, sessionId: string): Promise<void> {
    await this.#database.script(SESSION_SCRIPTS.index, [key], this.#seconds, sessionId);
  }
}

/** FNV-1a spreads numbered ids, and ids that begin with the time, as well as random ones. */
function shareOf(sessionId: string): number {
  return hash32(sessionId) % SESSION_INDEX_SHARES;
}

async function collected(batches: AsyncIterable<string[]>): Promise<string[]> {
  const all: string[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}
