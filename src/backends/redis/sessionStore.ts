import { withDeadline } from '../../deadline.js';
import { SessionExistsError } from '../../errors.js';
import type {
  SessionData,
  SessionFilter,
  SessionPatch,
  SessionStateEntry,
  SessionStore,
  StateWrite
} from '../../ports/sessionStore.js';
import { SharedBuses } from '../shared/sharedBuses.js';
import { checkFunction, checkNumber, checkOptionsObject, checkString } from '../../validate.js';
import { REDIS_CLIENT_METHODS, type RedisClient } from './client.js';
import { redisClient } from './anyClient.js';
import { answerOf } from './redactedErrors.js';
import { DEFAULT_KEY_PREFIX, RedisKeys } from './keys.js';
import { type ScriptedLockClient, withLockScripts } from './lockScripts.js';
import type { NodeRedisClient } from './nodeRedis.js';
import { fromFields, toChanges, toFields } from './sessionHash.js';
import { type ScriptedClient, type ScriptedStateClient, withScripts, withStateScripts } from './sessionScripts.js';
import { RedisSessionBus } from './sessionBus.js';
import { SessionIndex } from './sessionIndex.js';
import { Trips } from './commandBatcher.js';
import { Date, performance } from '../../timers.js';

export interface RedisSessionStoreOptions {
  /**
   * A client of ioredis, iovalkey or node-redis: single, Cluster or Sentinel. It stays yours: configure it, and close it
   * after the store's users.
   */
  redis: RedisClient | NodeRedisClient;
  /** Put before every key. @default 'mcp:session:' */
  keyPrefix?: string;
  /** Seconds that a session lives without activity. @default 3600 */
  ttlSeconds?: number;
  /** Told what happens to sessions, for logs and metrics; session ids are not in it. @default nothing */
  onLog?: (level: 'debug' | 'info' | 'warn', message: string) => void;
}

const buses = new SharedBuses<RedisSessionBus>();
const TOMBSTONE_SECONDS = 60;
/**
 * How long a session waits for its place in an index: only a node of a cluster that is away takes as long. It counts
 * towards the deadline of the call, which is a multiple of it.
 */
const INDEX_WAIT_MS = 100;
/** `lastActivity` is kept to the second: refreshing it costs no write of its own. */
const ACTIVITY_RESOLUTION_MS = 1000;

/**
 * Sessions in Redis 6.2 or later, or Valkey, single or cluster.
 *
 * A session is two keys. The small one holds the record's revision, and is all that the hot path touches: one `GETEX`
 * validates, refreshes the time to live and tells whether the record has changed. The other is a hash with the record,
 * whose single fields change in place. It lives twice as long and is refreshed along the way, so it is there
 * whenever the small one is.
 */
export class RedisSessionStore implements SessionStore {
  readonly ttlSeconds: number;
  readonly #redis: RedisClient;
  readonly #scripts: ScriptedClient & ScriptedStateClient & ScriptedLockClient;
  readonly #keys: RedisKeys;
  readonly #keyPrefix: string;
  readonly #index: SessionIndex;
  readonly #trips: Trips;
  #bus: ReturnType<typeof buses.join> | undefined;
  readonly #onLog: NonNullable<RedisSessionStoreOptions['onLog']>;
  /** When this pod last refreshed the hash behind a record that somebody holds, by `performance.now()`. */
  readonly #refreshed = new WeakMap<SessionData, number>();

  /** @throws InvalidOptionError */
  constructor(options: RedisSessionStoreOptions) {
    checkOptionsObject('options', options);
    checkString('keyPrefix', options.keyPrefix);
    checkNumber('ttlSeconds', options.ttlSeconds, { min: 1, max: 1_000_000_000, integer: true });
    checkFunction('onLog', options.onLog);
    this.#redis = redisClient(options.redis, REDIS_CLIENT_METHODS);
    this.#scripts = withStateScripts(withLockScripts(withScripts(this.#redis)));
    this.#keyPrefix = options.keyPrefix ?? DEFAULT_KEY_PREFIX;
    this.#keys = new RedisKeys(this.#keyPrefix);
    this.ttlSeconds = options.ttlSeconds ?? 3600;
    this.#trips = new Trips(this.#redis);
    this.#index = new SessionIndex(this.#redis, this.#trips, this.#keys, this.#recordSeconds);
    this.#onLog = options.onLog ?? (() => {});
  }

  async storeSession(sessionId: string, data: SessionData): Promise<void> {
    const create = this.#scripts.anypodCreateSession(
      this.#keys.session(sessionId),
      this.#keys.record(sessionId),
      this.#keys.tombstone(sessionId),
      this.ttlSeconds,
      this.#recordSeconds,
      ...toFields(data)
    );
    const indexed = this.#indexed(this.#index.add(sessionId, data));
    const created = await answerOf(create);
    if (created === 0) throw new SessionExistsError('A session with this id exists, or was deleted a moment ago');
    await indexed;
    this.#onLog('info', 'session created');
  }

  async getSession(sessionId: string): Promise<SessionData | null> {
    const key = this.#keys.session(sessionId);
    const [revision, ttlMs, fields] = await this.#trips.ask(
      ['get', key],
      ['pttl', key],
      ['hgetall', this.#keys.record(sessionId)]
    );
    if (revision === null) return null;
    const record = fromFields(sessionId, revision as string, fields as Record<string, string>);
    if (!record) return null;
    const refreshedAt = Date.now() - (this.ttlSeconds * 1000 - (ttlMs as number));
    if (refreshedAt - record.lastActivity > ACTIVITY_RESOLUTION_MS) record.lastActivity = refreshedAt;
    return record;
  }

  async updateSessionActivity(sessionId: string): Promise<void> {
    await answerOf(
      this.#scripts.anypodTouchRecord(
        this.#keys.session(sessionId),
        this.#keys.record(sessionId),
        this.ttlSeconds,
        this.#recordSeconds,
        Date.now()
      )
    );
  }

  async deleteSession(sessionId: string): Promise<void> {
    const removed = await answerOf(
      this.#scripts.anypodDeleteSession(
        this.#keys.session(sessionId),
        this.#keys.record(sessionId),
        this.#keys.tombstone(sessionId),
        TOMBSTONE_SECONDS
      )
    );
    if (removed === 0) return;
    await this.#indexed(this.#index.remove(sessionId));
    this.#onLog('info', 'session deleted');
  }

  async sessionExists(sessionId: string): Promise<boolean> {
    return (await answerOf(this.#redis.exists(this.#keys.session(sessionId)))) === 1;
  }

  async touchSession(sessionId: string, known?: SessionData): Promise<SessionData | null> {
    if (known?.revision === undefined || this.#recordNeedsRefresh(known)) return this.#touchBoth(sessionId, known);
    const [revision] = await this.#trips.ask(['getex', this.#keys.session(sessionId), 'EX', this.ttlSeconds]);
    if (revision === null) return null;
    return Number(revision) === known.revision ? known : this.#touchBoth(sessionId);
  }

  async patchSession(sessionId: string, patch: SessionPatch): Promise<boolean> {
    const { set, remove } = toChanges(patch);
    const patched = await answerOf(
      this.#scripts.anypodPatchSession(
        this.#keys.session(sessionId),
        this.#keys.record(sessionId),
        set.length / 2,
        ...set,
        ...remove
      )
    );
    if (patched === 0) return false;
    const { subscribe, unsubscribe } = patch;
    if (unsubscribe !== undefined) await this.#indexed(this.#index.unsubscribe(sessionId, unsubscribe));
    if (subscribe !== undefined) await this.#indexed(this.#index.subscribe(sessionId, subscribe));
    return true;
  }

  async *listSessionIds(filter: SessionFilter = {}): AsyncIterable<string[]> {
    for await (const ids of this.#index.ids(filter)) {
      const exist = await answerOf(Promise.all(ids.map(id => this.#redis.exists(this.#keys.session(id)))));
      yield ids.filter((_, index) => exist[index] === 1);
    }
  }

  async getState(sessionId: string): Promise<SessionStateEntry | null> {
    const [version, value = null] = await answerOf(
      this.#scripts.anypodGetState(this.#keys.session(sessionId), this.#keys.record(sessionId))
    );
    return version === undefined ? null : { value, version: Number(version) };
  }

  async putState(sessionId: string, value: string | null, ifVersion?: number): Promise<StateWrite> {
    const written = await answerOf(
      this.#scripts.anypodPutState(
        this.#keys.session(sessionId),
        this.#keys.record(sessionId),
        ifVersion ?? '',
        ...(value === null ? [] : [value])
      )
    );
    if (written < 0) return 'missing';
    return written === 1 ? 'written' : 'conflict';
  }

  async acquireLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    const keys = this.#lockKeys(sessionId);
    return (await answerOf(this.#scripts.anypodAcquireLock(...keys, token, Math.ceil(leaseMs)))) === 1;
  }

  async renewLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    const key = this.#keys.lock(sessionId);
    return (await answerOf(this.#scripts.anypodRenewLock(key, token, Math.ceil(leaseMs)))) === 1;
  }

  async releaseLock(sessionId: string, token: string): Promise<void> {
    await answerOf(this.#scripts.anypodReleaseLock(...this.#lockKeys(sessionId), token));
  }

  /** The bus on the same Redis, with one subscriber connection for all stores on this client that have the same prefix. */
  createBus(): RedisSessionBus {
    const options = { redis: this.#redis, keyPrefix: this.#keyPrefix, onLog: this.#onLog };
    this.#bus ??= buses.join(this.#redis, this.#keyPrefix, () => new RedisSessionBus(options));
    return this.#bus.bus;
  }

  /** Closes the bus's connection, unless other stores are on it; the client that was handed in stays open. */
  async close(): Promise<void> {
    await this.#bus?.leave();
  }

  #lockKeys(sessionId: string): [lock: string, queue: string, places: string] {
    return [this.#keys.lock(sessionId), this.#keys.lockQueue(sessionId), this.#keys.lockPlaces(sessionId)];
  }

  get #recordSeconds(): number {
    return this.ttlSeconds * 2;
  }

  #recordNeedsRefresh(known: SessionData): boolean {
    const refreshedAt = this.#refreshed.get(known);
    return refreshedAt === undefined || performance.now() - refreshedAt > (this.ttlSeconds * 1000) / 2;
  }

  async #touchBoth(sessionId: string, known?: SessionData): Promise<SessionData | null> {
    const record = this.#keys.record(sessionId);
    const [revision, fields, ttlMs] = await this.#trips.ask(
      ['getex', this.#keys.session(sessionId), 'EX', this.ttlSeconds],
      ['hgetall', record],
      ['pttl', record]
    );
    if (revision === null) return null;
    const isUnchanged = known && Number(revision) === known.revision && Object.keys(fields as object).length > 0;
    const data = isUnchanged ? known : fromFields(sessionId, revision as string, fields as Record<string, string>);
    if (!data) {
      // An eviction policy took the record: the session cannot be served by anyone any more.
      this.#onLog('warn', 'a session is gone because Redis evicted its record: use a noeviction policy');
      return null;
    }
    if (data !== known) data.lastActivity = Date.now();
    await this.#keepRecord(data, this.#recordSeconds * 1000 - (ttlMs as number));
    return data;
  }

  /** The record is refreshed with its entries in the indexes, unless a pod has done so not long ago. */
  async #keepRecord(data: SessionData, refreshedMsAgo: number): Promise<void> {
    let now = performance.now();
    if (refreshedMsAgo > (this.ttlSeconds * 1000) / 2) {
      await this.#trips.ask(['expire', this.#keys.record(data.sessionId), this.#recordSeconds]);
      void this.#indexed(this.#index.add(data.sessionId, data));
    } else {
      now -= refreshedMsAgo;
    }
    this.#refreshed.set(data, now);
  }

  /**
   * Resolves when an index is written, so that who asks any pod from then on finds the session; and though it is not: a
   * session goes on when Redis is full, or when the index is on a node of a cluster that is away.
   */
  #indexed(write: Promise<void>): Promise<void> {
    return withDeadline(() => write, INDEX_WAIT_MS).catch((error: Error) =>
      this.#onLog('warn', `an index of sessions was not written: ${error.message}`)
    );
  }
}
