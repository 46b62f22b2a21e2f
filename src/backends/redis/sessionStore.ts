import { withDeadline } from '../../deadline.js';
import { SessionExistsError, SessionStoreUnavailableError } from '../../errors.js';
import { logTo, type OnLog } from '../../log.js';
import {
  checkSessionData,
  type SessionData,
  type SessionFilter,
  type SessionOwner,
  type SessionPatch,
  type SessionStateEntry,
  type SessionStore,
  type StateWrite
} from '../../ports/sessionStore.js';
import { SharedBuses } from '../shared/sharedBuses.js';
import { REDIS_CLIENT_METHODS, type RedisClient } from './client.js';
import { connectionProblem } from './connectionErrors.js';
import { Database, type Script } from './database.js';
import { DEFAULT_KEY_PREFIX, RedisKeys } from './keys.js';
import { LOCK_SCRIPTS } from './lockScripts.js';
import { fieldsOf, integerOf, textOf, textsOf } from './replies.js';
import { fromFields, indexedIn, ownerIn, toChanges, toFields } from './sessionHash.js';
import { SESSION_SCRIPTS } from './sessionScripts.js';
import { checkSessionStoreOptions, type RedisSessionStoreOptions } from './sessionStoreOptions.js';
import { RedisSessionBus } from './sessionBus.js';
import { SessionIndex } from './sessionIndex.js';
import { recordSecondsOf, SessionRefresh } from './sessionRefresh.js';
import { Date } from '../../timers.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

const buses = new SharedBuses<RedisSessionBus>();
const TOMBSTONE_SECONDS = 60;
const WAIT_MS = 500;
/**
 * The longest time that a call waits for an index; only a Cluster node that is down takes that long. It counts towards
 * the deadline of the call, which is a multiple of it.
 */
const INDEX_WAIT_MS = 100;
/** `lastActivity` is accurate to a second, so that refreshing it needs no separate write. */
const ACTIVITY_RESOLUTION_MS = 1000;
/** The first revision, and what a change adds, are at most this: 2 ** 30 changes fit in a safe integer. */
const MAX_RAISE = 2 ** 23;

/**
 * Sessions in Redis 6.2 or later, or Valkey, single or Cluster.
 *
 * A session has two keys. The small one holds the record's revision. Most requests use only this key: one `GETEX`
 * validates, refreshes the time to live and shows whether the record has changed. The other is a hash with the record,
 * whose single fields change in place. It lives twice as long and is also refreshed, so it exists whenever the small
 * one does.
 */
export class RedisSessionStore implements SessionStore {
  readonly ttlSeconds: number;
  readonly #database: Database<RedisClient>;
  readonly #keys: RedisKeys;
  readonly #keyPrefix: string;
  readonly #index: SessionIndex;
  readonly #refresh: SessionRefresh;
  readonly #deleteReplicas: number;
  #bus: ReturnType<typeof buses.join> | undefined;
  readonly #onLog: OnLog;
  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: RedisSessionStoreOptions) {
    keepSelf(this);
    checkSessionStoreOptions(options);
    const scripts = [...Object.values(SESSION_SCRIPTS), ...Object.values(LOCK_SCRIPTS)];
    this.#database = new Database(options.redis, REDIS_CLIENT_METHODS, { scripts });
    this.#keyPrefix = options.keyPrefix ?? DEFAULT_KEY_PREFIX;
    this.#keys = new RedisKeys(this.#keyPrefix);
    this.ttlSeconds = options.ttlSeconds ?? 3600;
    this.#index = new SessionIndex(this.#database, this.#keys, this.#recordSeconds);
    this.#deleteReplicas = options.deleteReplicas ?? 0;
    this.#onLog = logTo(options.onLog);
    this.#refresh = new SessionRefresh({
      database: this.#database,
      keys: this.#keys,
      ttlSeconds: this.ttlSeconds,
      onLog: this.#onLog,
      addToIndex: data => void this.#indexed(this.#index.add(data.sessionId, data))
    });
  }

  async storeSession(sessionId: string, data: SessionData): Promise<void> {
    checkSessionData(data);
    const args = [this.ttlSeconds, this.#recordSeconds, anyRaise(), ...toFields(data)];
    const create = this.#onSession(SESSION_SCRIPTS.create, sessionId, ...args);
    const indexed = this.#indexed(this.#index.add(sessionId, data));
    if (integerOf(await create) === 0) {
      throw new SessionExistsError('A session with this id exists, or was deleted a moment ago');
    }
    await indexed;
    this.#onLog('info', 'session created');
  }

  async getSession(sessionId: string): Promise<SessionData | null> {
    const key = this.#keys.session(sessionId);
    const [revision, ttlMs, fields] = await this.#database.batch(
      ['get', key],
      ['pttl', key],
      ['hgetall', this.#keys.record(sessionId)]
    );
    const text = textOf(revision);
    if (text === null) return null;
    const record = fromFields(sessionId, text, fieldsOf(fields));
    if (!record) return null;
    const refreshedAt = Date.now() - (this.ttlSeconds * 1000 - integerOf(ttlMs));
    if (refreshedAt - record.lastActivity > ACTIVITY_RESOLUTION_MS) record.lastActivity = refreshedAt;
    return record;
  }

  async updateSessionActivity(sessionId: string): Promise<void> {
    await this.#onSession(SESSION_SCRIPTS.touchRecord, sessionId, this.ttlSeconds, this.#recordSeconds, Date.now());
  }

  /**
   * Removes the session, and waits until `deleteReplicas` replicas have the deletion.
   * @returns whether this call removed it
   */
  async deleteSession(sessionId: string): Promise<boolean> {
    const call = globalThis.crypto.randomUUID();
    const reply = await this.#onSession(SESSION_SCRIPTS.delete, sessionId, TOMBSTONE_SECONDS, call);
    const [removed, ...fields] = textsOf(reply);
    if (removed !== '1') return false;
    if (this.#deleteReplicas > 0) await this.#untilReplicated(sessionId);
    await this.#indexed(this.#index.remove(sessionId, indexedIn(fieldsOf(fields))));
    this.#onLog('info', 'session deleted');
    return true;
  }

  async sessionExists(sessionId: string): Promise<boolean> {
    return integerOf(await this.#database.command('exists', this.#keys.session(sessionId))) === 1;
  }

  touchSession(sessionId: string, known?: SessionData): Promise<SessionData | null> {
    return this.#refresh.touch(sessionId, known);
  }

  refreshSessions(known: readonly SessionData[]): Promise<boolean[]> {
    return this.#refresh.refreshMany(known);
  }

  async getSessionOwner(sessionId: string): Promise<SessionOwner | null> {
    const fields = textsOf(await this.#onSession(SESSION_SCRIPTS.getOwner, sessionId));
    return fields.length === 0 ? null : ownerIn(fieldsOf(fields));
  }

  async patchSession(sessionId: string, patch: SessionPatch): Promise<boolean> {
    const { set, remove } = toChanges(patch);
    const patched = await this.#onSession(
      SESSION_SCRIPTS.patch,
      sessionId,
      anyRaise(),
      set.length / 2,
      ...set,
      ...remove
    );
    if (integerOf(patched) === 0) return false;
    const { subscribe, unsubscribe } = patch;
    if (unsubscribe !== undefined) await this.#indexed(this.#index.unsubscribe(sessionId, unsubscribe));
    if (subscribe !== undefined) await this.#indexed(this.#index.subscribe(sessionId, subscribe));
    return true;
  }

  async *listSessionIds(filter: SessionFilter = {}): AsyncIterable<string[]> {
    for await (const ids of this.#index.ids(filter)) {
      const exist = await Promise.all(ids.map(id => this.sessionExists(id)));
      yield ids.filter((_, index) => exist[index]);
    }
  }

  async getState(sessionId: string): Promise<SessionStateEntry | null> {
    const [version = null, value = null] = textsOf(await this.#onSession(SESSION_SCRIPTS.getState, sessionId));
    return version === null ? null : { value, version: Number(version) };
  }

  async putState(sessionId: string, value: string | null, ifVersion?: number): Promise<StateWrite> {
    const values = value === null ? [] : [value];
    const written = integerOf(await this.#onSession(SESSION_SCRIPTS.putState, sessionId, ifVersion ?? '', ...values));
    if (written < 0) return 'missing';
    return written === 1 ? 'written' : 'conflict';
  }

  async acquireLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    return this.#onLock(LOCK_SCRIPTS.acquire, sessionId, token, Math.ceil(leaseMs));
  }

  async renewLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    return this.#onLock(LOCK_SCRIPTS.renew, sessionId, token, Math.ceil(leaseMs));
  }

  async releaseLock(sessionId: string, token: string): Promise<void> {
    await this.#onLock(LOCK_SCRIPTS.release, sessionId, token);
  }

  outageReason(): string | undefined {
    return connectionProblem(this.#database.source);
  }

  /** The bus on the same Redis. All stores with this client and prefix share it, and its one subscriber connection. */
  createBus(): RedisSessionBus {
    const { client } = this.#database;
    const options = { redis: client, keyPrefix: this.#keyPrefix, onLog: this.#onLog };
    this.#bus ??= buses.join(client, this.#keyPrefix, () => new RedisSessionBus(options));
    return this.#bus.bus;
  }

  /** Closes the connection of the bus, unless other stores use it. The client of the options stays open. */
  async close(): Promise<void> {
    await this.#bus?.leave();
  }

  /** Runs a script on the first `numberOfKeys` keys of a session: the revision, the record, the tombstone. */
  #onSession(script: Script, sessionId: string, ...args: (string | number)[]): Promise<unknown> {
    const keys = [this.#keys.session(sessionId), this.#keys.record(sessionId), this.#keys.tombstone(sessionId)];
    return this.#database.script(script, keys.slice(0, script.numberOfKeys), ...args);
  }

  /** Runs a script on the first `numberOfKeys` keys of a lock: the lock, the queue, its places. */
  async #onLock(script: Script, sessionId: string, ...args: (string | number)[]): Promise<boolean> {
    const keys = [this.#keys.lock(sessionId), this.#keys.lockQueue(sessionId), this.#keys.lockPlaces(sessionId)];
    return integerOf(await this.#database.script(script, keys.slice(0, script.numberOfKeys), ...args)) === 1;
  }

  /** WAIT covers only writes of its own connection, so EXPIRE, a write after the deletion, is sent on it first. */
  async #untilReplicated(sessionId: string): Promise<void> {
    const [, replicas] = await this.#database.batch(
      ['expire', this.#keys.tombstone(sessionId), TOMBSTONE_SECONDS],
      ['wait', this.#deleteReplicas, WAIT_MS]
    );
    if (integerOf(replicas) >= this.#deleteReplicas) return;
    throw new SessionStoreUnavailableError(
      `A session was deleted, and only ${integerOf(replicas)} of ${this.#deleteReplicas} replicas have that so far`
    );
  }

  get #recordSeconds(): number {
    return recordSecondsOf(this.ttlSeconds);
  }

  /**
   * Resolves when an index is written, so that any pod finds the session from then on. A failure is only logged: a session
   * continues if Redis is full, or if the index is on a Cluster node that is down.
   */
  #indexed(write: Promise<void>): Promise<void> {
    return withDeadline(() => write, INDEX_WAIT_MS).catch((error: Error) =>
      this.#onLog('warn', `an index of sessions was not written: ${error.message}`)
    );
  }
}

/** So that no two contents of a session have the same revision, even if Redis has lost one of them. */
function anyRaise(): number {
  return 1 + Math.floor(Math.random() * MAX_RAISE);
}
