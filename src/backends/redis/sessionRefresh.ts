import type { OnLog } from '../../log.js';
import type { SessionData } from '../../ports/sessionStore.js';
import { Date, performance } from '../../timers.js';
import type { RedisClient } from './client.js';
import type { Database } from './database.js';
import type { RedisKeys } from './keys.js';
import { fieldsOf, integerOf, textOf, textsOf } from './replies.js';
import { fromFields } from './sessionHash.js';

/** The time to live of a record, in seconds. It is longer than its session's, so the record exists while the session does. */
export function recordSecondsOf(ttlSeconds: number): number {
  return ttlSeconds * 2;
}

export interface SessionRefreshOptions {
  readonly database: Database<RedisClient>;
  readonly keys: RedisKeys;
  /** Of a session without activity. */
  readonly ttlSeconds: number;
  readonly onLog: OnLog;
  /** Refreshes the entries of a session in the indexes, without waiting for it. */
  readonly addToIndex: (data: SessionData) => void;
}

/** Restarts the time to live of sessions, and reads their records if they have changed. */
export class SessionRefresh {
  readonly #options: SessionRefreshOptions;
  readonly #ttlMs: number;
  readonly #recordSeconds: number;
  /** When this pod last refreshed the hash of a record that is in use, by `performance.now()`. */
  readonly #recordRefreshedAt = new WeakMap<SessionData, number>();
  /** When {@link refreshMany} last refreshed a session, by `performance.now()`. */
  readonly #touchedAt = new WeakMap<SessionData, number>();

  constructor(options: SessionRefreshOptions) {
    this.#options = options;
    this.#ttlMs = options.ttlSeconds * 1000;
    this.#recordSeconds = recordSecondsOf(options.ttlSeconds);
  }

  /** `touchSession`: one `GETEX`, unless the record has changed or must be refreshed as well. */
  async touch(sessionId: string, known?: SessionData): Promise<SessionData | null> {
    if (known?.revision === undefined || this.#recordIsDue(known)) return this.#touchBoth(sessionId, known);
    const { database, keys, ttlSeconds } = this.#options;
    const [revision] = await database.batch(['getex', keys.session(sessionId), 'EX', ttlSeconds]);
    if (revision === null) return null;
    return integerOf(revision) === known.revision ? known : this.#touchBoth(sessionId);
  }

  /** `refreshSessions`: one `MGET`, and a `GETEX` for those that were not refreshed for a quarter of their time to live. */
  async refreshMany(known: readonly SessionData[]): Promise<boolean[]> {
    const { database, keys } = this.#options;
    if (known.length === 0) return [];
    // The keys of several sessions have several slots.
    if (database.client.isCluster) return Promise.all(known.map(data => this.#touchUnchanged(data)));
    const [reply] = await database.batch(['mget', ...known.map(({ sessionId }) => keys.session(sessionId))]);
    const revisions = textsOf(reply);
    return Promise.all(known.map((data, index) => this.#refreshIfDue(data, revisions[index] ?? null)));
  }

  async #refreshIfDue(known: SessionData, revision: string | null): Promise<boolean> {
    if (revision === null || integerOf(revision) !== known.revision) return false;
    const touchedAt = this.#touchedAt.get(known);
    const isDue = touchedAt === undefined || performance.now() - touchedAt >= this.#ttlMs / 4;
    return isDue ? this.#touchUnchanged(known) : true;
  }

  async #touchUnchanged(known: SessionData): Promise<boolean> {
    const now = performance.now();
    const isUnchanged = (await this.touch(known.sessionId, known)) === known;
    if (isUnchanged) this.#touchedAt.set(known, now);
    return isUnchanged;
  }

  #recordIsDue(known: SessionData): boolean {
    const refreshedAt = this.#recordRefreshedAt.get(known);
    return refreshedAt === undefined || performance.now() - refreshedAt > this.#ttlMs / 2;
  }

  async #touchBoth(sessionId: string, known?: SessionData): Promise<SessionData | null> {
    const { database, keys, ttlSeconds, onLog } = this.#options;
    const record = keys.record(sessionId);
    const [revision, fields, ttlMs] = await database.batch(
      ['getex', keys.session(sessionId), 'EX', ttlSeconds],
      ['hgetall', record],
      ['pttl', record]
    );
    const text = textOf(revision);
    if (text === null) return null;
    const hash = fieldsOf(fields);
    const isUnchanged = known && integerOf(text) === known.revision && Object.keys(hash).length > 0;
    const data = isUnchanged ? known : fromFields(sessionId, text, hash);
    if (!data) {
      // An eviction policy removed the record: no pod can serve the session.
      onLog('warn', 'a session is gone because Redis evicted its record: use a noeviction policy');
      return null;
    }
    if (data !== known) data.lastActivity = Date.now();
    await this.#keepRecord(data, this.#recordSeconds * 1000 - integerOf(ttlMs));
    return data;
  }

  /** Refreshes the record and its entries in the indexes, unless a pod did so recently. */
  async #keepRecord(data: SessionData, refreshedMsAgo: number): Promise<void> {
    let now = performance.now();
    if (refreshedMsAgo > this.#ttlMs / 2) {
      const { database, keys, addToIndex } = this.#options;
      await database.batch(['expire', keys.record(data.sessionId), this.#recordSeconds]);
      addToIndex(data);
    } else {
      now -= refreshedMsAgo;
    }
    this.#recordRefreshedAt.set(data, now);
  }
}
