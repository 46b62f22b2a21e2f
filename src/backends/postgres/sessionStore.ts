import { SessionExistsError, SessionStoreUnavailableError } from '../../errors.js';
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
import { checkNumber } from '../../validate.js';
import type { PostgresRow } from './client.js';
import { Database, type PostgresOptions } from './database.js';
import { lockSql } from './lockSql.js';
import { migrate } from './migrate.js';
import { PostgresSessionBus } from './sessionBus.js';
import { fromRow, ownerIn, toValues } from './sessionRow.js';
import { sessionSql } from './sessionSql.js';
import { Sweeper } from './sweeper.js';
import type { TableNames } from './tables.js';
import { fromText, toText } from './text.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** The options of a {@link PostgresSessionStore}. */
export interface PostgresSessionStoreOptions extends PostgresOptions, TableNames {
  /** Seconds that a session lives without activity. @default 3600 */
  ttlSeconds?: number;
}

const buses = new SharedBuses<PostgresSessionBus>();
const TOMBSTONE_SECONDS = 60;
/** Ids per read. */
const BATCH = 500;

/**
 * Sessions in Postgres 12 or later: one row each. Every method is one statement, so one round trip. `touchSession`
 * writes the time to live of the row, and reads the record only if it has changed. The clock of Postgres decides
 * whether a session has expired. An expired session counts as missing, and its row is removed later.
 *
 * Call {@link migrate} once before use.
 */
export class PostgresSessionStore implements SessionStore {
  readonly ttlSeconds: number;
  readonly #options: PostgresSessionStoreOptions;
  readonly #database: Database;
  readonly #sql: ReturnType<typeof sessionSql>;
  readonly #locks: ReturnType<typeof lockSql>;
  readonly #sweeper: Sweeper;
  #bus: ReturnType<typeof buses.join> | undefined;

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: PostgresSessionStoreOptions) {
    keepSelf(this);
    this.#database = new Database(options, SessionStoreUnavailableError);
    checkNumber('ttlSeconds', options.ttlSeconds, { min: 1, max: 1_000_000_000, integer: true });
    this.#options = options;
    this.ttlSeconds = options.ttlSeconds ?? 3600;
    this.#sql = sessionSql(this.#database.tables);
    this.#locks = lockSql(this.#database.tables);
    const everyMs = Math.min(60_000, this.ttlSeconds * 1000);
    this.#sweeper = new Sweeper(this.#database, [this.#sql.sweep, this.#locks.sweep], everyMs);
  }

  /** Creates the tables; see the function {@link migrate}. */
  migrate(): Promise<void> {
    const { pool, schema, table } = this.#options;
    return migrate({ pool, schema, table });
  }

  async storeSession(sessionId: string, data: SessionData): Promise<void> {
    checkSessionData(data);
    const created = await this.#query(this.#sql.create, [sessionId, this.ttlSeconds, ...toValues(data)]);
    if (created.length === 0) {
      throw new SessionExistsError('A session with this id exists, or was deleted a moment ago');
    }
    this.#database.onLog('info', 'session created');
  }

  async getSession(sessionId: string): Promise<SessionData | null> {
    const [row] = await this.#query(this.#sql.get, [sessionId]);
    return row ? fromRow(sessionId, row) : null;
  }

  async updateSessionActivity(sessionId: string): Promise<void> {
    await this.#query(this.#sql.refresh, [sessionId, this.ttlSeconds]);
  }

  /** @returns whether this call removed it */
  async deleteSession(sessionId: string): Promise<boolean> {
    const deleted = (await this.#query(this.#sql.delete, [sessionId, TOMBSTONE_SECONDS])).length > 0;
    if (deleted) this.#database.onLog('info', 'session deleted');
    return deleted;
  }

  async sessionExists(sessionId: string): Promise<boolean> {
    return (await this.#query(this.#sql.exists, [sessionId])).length > 0;
  }

  async touchSession(sessionId: string, known?: SessionData): Promise<SessionData | null> {
    const [row] = await this.#query(this.#sql.touch, [sessionId, this.ttlSeconds, known?.revision ?? null]);
    if (!row) return null;
    return known && Number(row.revision) === known.revision ? known : fromRow(sessionId, row);
  }

  async refreshSessions(known: readonly SessionData[]): Promise<boolean[]> {
    const [ids, revisions] = [known.map(({ sessionId }) => sessionId), known.map(({ revision = null }) => revision)];
    const rows = await this.#query(this.#sql.refreshMany, [ids, this.ttlSeconds, revisions]);
    const unchanged = new Set(rows.map(row => row.session_id));
    return ids.map(id => unchanged.has(id));
  }

  async getSessionOwner(sessionId: string): Promise<SessionOwner | null> {
    const [row] = await this.#query(this.#sql.owner, [sessionId]);
    return row ? ownerIn(row) : null;
  }

  async patchSession(sessionId: string, patch: SessionPatch): Promise<boolean> {
    const texts = [patch.protocolVersion, patch.logLevel, patch.subscribe, patch.unsubscribe];
    const values = texts.map(text => (text === undefined ? null : toText(text)));
    return (await this.#query(this.#sql.patch, [sessionId, patch.initialized === true, ...values])).length > 0;
  }

  async *listSessionIds({ subscribedTo, principal }: SessionFilter = {}): AsyncIterable<string[]> {
    const { list, listOfPrincipal, listSubscribed } = this.#sql;
    const filter = subscribedTo ?? principal;
    const sql = subscribedTo !== undefined ? listSubscribed : principal !== undefined ? listOfPrincipal : list;
    for (let last = ''; ;) {
      const rows = await this.#query(sql, [last, BATCH, ...(filter === undefined ? [] : [toText(filter)])]);
      const ids = rows.map(row => String(row.session_id));
      if (ids.length > 0) yield ids;
      if (ids.length < BATCH) return;
      last = ids.at(-1) as string;
    }
  }

  async getState(sessionId: string): Promise<SessionStateEntry | null> {
    const [row] = await this.#query(this.#sql.getState, [sessionId]);
    if (!row) return null;
    const { state, version } = row;
    return { value: typeof state === 'string' ? fromText(state) : null, version: Number(version) };
  }

  async putState(sessionId: string, value: string | null, ifVersion?: number): Promise<StateWrite> {
    const state = value === null ? null : toText(value);
    const [row] = await this.#query(this.#sql.putState, [sessionId, state, ifVersion ?? null]);
    return row ? (row.outcome as StateWrite) : 'missing';
  }

  async acquireLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    const [row] = await this.#query(this.#locks.acquire, [sessionId, toText(token), leaseMs]);
    return row?.holds === 'true';
  }

  async renewLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    return (await this.#query(this.#locks.renew, [sessionId, toText(token), leaseMs])).length > 0;
  }

  async releaseLock(sessionId: string, token: string): Promise<void> {
    await this.#query(this.#locks.release, [sessionId, toText(token)]);
  }

  /**
   * The bus on the same Postgres. Stores with the same pool and tables share it, with one listening connection.
   * After it is closed, the next call returns a new one.
   */
  createBus(): PostgresSessionBus {
    const { pool, schema, table, onLog } = this.#options;
    const make = (): PostgresSessionBus => new PostgresSessionBus({ pool, schema, table, onLog });
    if (!this.#bus || this.#bus.bus.closed) this.#bus = buses.join(pool, this.#database.tables.sessions, make);
    return this.#bus.bus;
  }

  /**
   * Removes expired rows, which no query returns any more. This also runs in the background from time to time;
   * call it to choose the time yourself.
   * @returns the number of removed rows
   */
  sweep(): Promise<number> {
    return this.#sweeper.run();
  }

  /** Closes its bus, unless other stores use it. The pool stays open. */
  async close(): Promise<void> {
    await this.#bus?.leave();
  }

  async #query(text: string, values: unknown[]): Promise<PostgresRow[]> {
    const rows = await this.#database.query(text, values);
    this.#sweeper.occasion();
    return rows;
  }
}
