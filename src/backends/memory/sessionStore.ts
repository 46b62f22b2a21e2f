import { SessionExistsError } from '../../errors.js';
import {
  applyPatch,
  checkSessionData,
  ownerOf,
  type SessionData,
  type SessionFilter,
  type SessionOwner,
  type SessionPatch,
  type SessionStateEntry,
  type SessionStore,
  type StateWrite
} from '../../ports/sessionStore.js';
import { InMemoryLocks } from './locks.js';
import { InMemorySessionBus } from './sessionBus.js';
import { checkNumber, checkOptionsObject } from '../../validate.js';
import { Date } from '../../timers.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** The options of an {@link InMemorySessionStore}. */
export interface InMemorySessionStoreOptions {
  /** Seconds that a session lives without activity. @default 3600 */
  ttlSeconds?: number;
  /** Sessions kept. Above that, the one that was idle longest is removed. @default 100000 */
  maxSessions?: number;
  /** The clock, in epoch milliseconds. @default Date.now */
  now?: () => number;
}

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof InMemorySessionStoreOptions, true>> = {
  ttlSeconds: true,
  maxSessions: true,
  now: true
};

/** How long a deleted session's id stays refused, so that a write concurrent with the deletion does not restore it. */
const TOMBSTONE_MS = 60_000;

interface Entry {
  data: SessionData;
  revision: number;
  /** The state of the application. */
  state: SessionStateEntry;
  /** When it was created or last refreshed, by the clock of this store: the times in the record are the caller's. */
  refreshedAt: number;
}

/**
 * Sessions in this process: the embedded default, for one process with several transports (a server whose idle
 * sessions are evicted and recovered, tests, the demo). It shares nothing with other processes.
 */
export class InMemorySessionStore implements SessionStore {
  readonly ttlSeconds: number;
  readonly #maxSessions: number;
  readonly #now: () => number;
  readonly #bus = new InMemorySessionBus();
  readonly #locks: InMemoryLocks;
  /** The last revision given. None is given twice, so a pod never takes a new session for an expired one of that id. */
  #revision = 0;
  /** In order of activity, oldest first. */
  readonly #sessions = new Map<string, Entry>();
  /** Deleted ids with the time of deletion, in that order. */
  readonly #tombstones = new Map<string, number>();

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: InMemorySessionStoreOptions = {}) {
    keepSelf(this);
    checkOptionsObject('options', options, OPTION_NAMES);
    checkNumber('ttlSeconds', options.ttlSeconds, { min: 1 });
    checkNumber('maxSessions', options.maxSessions, { min: 1, integer: true });
    this.ttlSeconds = options.ttlSeconds ?? 3600;
    this.#maxSessions = options.maxSessions ?? 100_000;
    this.#now = options.now ?? (() => Date.now());
    this.#locks = new InMemoryLocks(this.#now);
  }

  async storeSession(sessionId: string, data: SessionData): Promise<void> {
    checkSessionData(data);
    this.#sweep();
    if (this.#sessions.has(sessionId) || this.#tombstones.has(sessionId)) {
      throw new SessionExistsError('A session with this id exists, or was deleted a moment ago');
    }
    if (this.#sessions.size >= this.#maxSessions) this.#dropOldest(this.#sessions);
    const revision = ++this.#revision;
    this.#sessions.set(sessionId, {
      data: { ...structuredClone(data), revision },
      revision,
      state: { value: null, version: 0 },
      refreshedAt: this.#now()
    });
  }

  async getSession(sessionId: string): Promise<SessionData | null> {
    const entry = this.#live(sessionId);
    return entry ? structuredClone(entry.data) : null;
  }

  async updateSessionActivity(sessionId: string): Promise<void> {
    const entry = this.#live(sessionId);
    if (!entry) return;
    entry.refreshedAt = entry.data.lastActivity = this.#now();
    this.#sessions.delete(sessionId);
    this.#sessions.set(sessionId, entry);
  }

  async deleteSession(sessionId: string): Promise<boolean> {
    this.#sweep();
    if (!this.#sessions.delete(sessionId)) return false;
    this.#tombstones.set(sessionId, this.#now());
    if (this.#tombstones.size > this.#maxSessions) this.#dropOldest(this.#tombstones);
    return true;
  }

  async sessionExists(sessionId: string): Promise<boolean> {
    return this.#live(sessionId) !== undefined;
  }

  async touchSession(sessionId: string, known?: SessionData): Promise<SessionData | null> {
    await this.updateSessionActivity(sessionId);
    const entry = this.#live(sessionId);
    if (!entry) return null;
    return known?.revision === entry.revision ? known : this.getSession(sessionId);
  }

  async getSessionOwner(sessionId: string): Promise<SessionOwner | null> {
    const entry = this.#live(sessionId);
    return entry ? ownerOf(entry.data) : null;
  }

  async patchSession(sessionId: string, patch: SessionPatch): Promise<boolean> {
    const entry = this.#live(sessionId);
    if (!entry) return false;
    entry.data = { ...applyPatch(entry.data, patch), revision: (entry.revision = ++this.#revision) };
    return true;
  }

  async *listSessionIds({ subscribedTo, principal }: SessionFilter = {}): AsyncIterable<string[]> {
    const ids: string[] = [];
    for (const [sessionId, { data }] of this.#sessions) {
      if (subscribedTo !== undefined && !data.metadata?.mcp?.subscriptions?.includes(subscribedTo)) continue;
      if (principal !== undefined && data.metadata?.mcp?.principal !== principal) continue;
      if (this.#live(sessionId)) ids.push(sessionId);
    }
    if (ids.length > 0) yield ids;
  }

  async getState(sessionId: string): Promise<SessionStateEntry | null> {
    const entry = this.#live(sessionId);
    return entry ? { ...entry.state } : null;
  }

  async putState(sessionId: string, value: string | null, ifVersion?: number): Promise<StateWrite> {
    const entry = this.#live(sessionId);
    if (!entry) return 'missing';
    if (ifVersion !== undefined && ifVersion !== entry.state.version) return 'conflict';
    entry.state = { value, version: entry.state.version + 1 };
    return 'written';
  }

  acquireLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    return this.#locks.acquireLock(sessionId, token, leaseMs);
  }

  renewLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    return this.#locks.renewLock(sessionId, token, leaseMs);
  }

  releaseLock(sessionId: string, token: string): Promise<void> {
    return this.#locks.releaseLock(sessionId, token);
  }

  /** The bus of all pods in this process that share the store. */
  createBus(): InMemorySessionBus {
    return this.#bus;
  }

  #live(sessionId: string): Entry | undefined {
    const entry = this.#sessions.get(sessionId);
    if (!entry || !this.#isExpired(entry)) return entry;
    this.#sessions.delete(sessionId);
    return undefined;
  }

  #isExpired(entry: Entry): boolean {
    return this.#now() - entry.refreshedAt >= this.ttlSeconds * 1000;
  }

  /** Removes expired sessions, oldest first: the work is proportional to the number removed. */
  #sweep(): void {
    for (const [sessionId, entry] of this.#sessions) {
      if (!this.#isExpired(entry)) break;
      this.#sessions.delete(sessionId);
    }
    for (const [sessionId, deletedAt] of this.#tombstones) {
      if (this.#now() - deletedAt < TOMBSTONE_MS) break;
      this.#tombstones.delete(sessionId);
    }
  }

  #dropOldest(map: Map<string, unknown>): void {
    const oldest = map.keys().next();
    if (!oldest.done) map.delete(oldest.value);
  }
}
