import {
  InvalidOptionError,
  SessionExistsError,
  SessionRecordUnreadableError,
  SessionStoreUnavailableError
} from '../errors.js';
import { isSessionId } from '../ports/sessionId.js';
import type { SessionStore } from '../ports/sessionStore.js';
import { checkNumber, kindOf } from '../validate.js';
import { Date } from '../timers.js';

/**
 * What an application keeps for each of its sessions: any JSON value, by an id that the application chooses. It is
 * separate from the sessions of the transport, also if both are in one Redis and the ids are the same.
 *
 * Every method throws `InvalidOptionError` for a wrong argument, and `SessionStoreUnavailableError` if the backend fails.
 */
export interface ApplicationSessionStore {
  /** Where the data is kept: `redis`, `postgres`, `file` or `memory`. */
  readonly storage: string;
  /**
   * Stores a value, or replaces it. It lives for `defaultTtl` seconds from now.
   * @param sessionId - any text that is not empty; at most 256 characters with the prefix, fewer outside of ASCII
   */
  setSession<T = Record<string, unknown>>(sessionId: string, data: T): Promise<void>;
  /** Reads a value. Does not prolong its life. @returns null if there is none */
  getSession<T = Record<string, unknown>>(sessionId: string): Promise<T | null>;
  /** Stores a value if there is none. @returns the value that is stored now */
  createSessionIfNotExists<T = Record<string, unknown>>(sessionId: string, initial: T): Promise<T>;
  /** Removes a value; does nothing if there is none. */
  deleteSession(sessionId: string): Promise<void>;
  /** The same as {@link ApplicationSessionStore.deleteSession}. */
  clearSession(sessionId: string): Promise<void>;
  /** The ids of all values. */
  getSessions(): Promise<string[]>;
  /**
   * Locks a session, for callers that agree to ask. Does not wait.
   * @param timeoutMs - after this time the lock is free again, in milliseconds. @default the option `lockTimeout`
   * @returns the token for {@link ApplicationSessionStore.releaseLock}; null if another caller has the lock
   */
  acquireLock(sessionId: string, timeoutMs?: number): Promise<string | null>;
  /** Frees a lock. @returns false if the token does not hold it any more */
  releaseLock(sessionId: string, token: string): Promise<boolean>;
  /** Closes the connections that were opened for the store. May be called twice. */
  disconnect(): Promise<void>;
}

/** The optional methods of a session store that an application store needs. */
type Backend = SessionStore &
  Required<
    Pick<SessionStore, 'getState' | 'putState' | 'listSessionIds' | 'acquireLock' | 'renewLock' | 'releaseLock'>
  >;

export interface ApplicationStoreOptions {
  readonly storage: string;
  /** In front of each id in the backend. */
  readonly idPrefix: string;
  readonly lockTimeoutMs: number;
  readonly close: () => Promise<void>;
}

const MAX_ATTEMPTS = 5;
const ID_FORM = 'a text that is not empty and has at most 256 characters with the prefix (fewer outside of ASCII)';

/** Keeps each value as the state of a record of its own in a session store. */
export class StoredApplicationData implements ApplicationSessionStore {
  readonly storage: string;
  readonly #store: Backend;
  readonly #options: ApplicationStoreOptions;

  constructor(store: SessionStore, options: ApplicationStoreOptions) {
    this.#store = store as Backend;
    this.#options = options;
    this.storage = options.storage;
  }

  async setSession<T>(sessionId: string, data: T, ttl?: never): Promise<void> {
    if (ttl !== undefined) {
      throw new InvalidOptionError('ttl', kindOf(ttl), 'nothing: every value of a store lives for its defaultTtl');
    }
    const id = this.#idOf(sessionId);
    const text = textOf(data);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const [written] = await Promise.all([this.#store.putState(id, text), this.#store.updateSessionActivity(id)]);
      if (written === 'written') return;
      await this.#create(id);
    }
    throw new SessionStoreUnavailableError('The record of a value disappeared again and again');
  }

  async getSession<T>(sessionId: string): Promise<T | null> {
    return (await this.#read<T>(this.#idOf(sessionId)))?.data ?? null;
  }

  async createSessionIfNotExists<T>(sessionId: string, initial: T): Promise<T> {
    const id = this.#idOf(sessionId);
    const text = textOf(initial);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const current = await this.#read<T>(id);
      if (current?.data !== undefined) return current.data;
      if (!current) await this.#create(id);
      if ((await this.#store.putState(id, text, current?.version ?? 0)) !== 'written') continue;
      await this.#store.updateSessionActivity(id);
      return initial;
    }
    throw new SessionStoreUnavailableError('Other callers changed the value again and again');
  }

  async deleteSession(sessionId: string): Promise<void> {
    // The empty record stays until it expires: a store refuses the id of a deleted record for a minute.
    await this.#store.putState(this.#idOf(sessionId), null);
  }

  clearSession(sessionId: string): Promise<void> {
    return this.deleteSession(sessionId);
  }

  async getSessions(): Promise<string[]> {
    const found: string[] = [];
    for await (const ids of this.#store.listSessionIds()) {
      const own = ids.filter(id => id.startsWith(this.#options.idPrefix));
      const values = await Promise.all(own.map(id => this.#store.getState(id)));
      found.push(...own.filter((_, index) => typeof values[index]?.value === 'string'));
    }
    return found.map(id => decodeURIComponent(id.slice(this.#options.idPrefix.length)));
  }

  async acquireLock(sessionId: string, timeoutMs: number = this.#options.lockTimeoutMs): Promise<string | null> {
    checkNumber('timeoutMs', timeoutMs, { min: 1 });
    const id = this.#idOf(sessionId);
    const token = globalThis.crypto.randomUUID();
    if (await this.#store.acquireLock(id, token, Math.ceil(timeoutMs))) return token;
    // Leaves the queue of the lock.
    await this.#store.releaseLock(id, token);
    return null;
  }

  async releaseLock(sessionId: string, token: string): Promise<boolean> {
    const id = this.#idOf(sessionId);
    const held = await this.#store.renewLock(id, token, this.#options.lockTimeoutMs);
    if (held) await this.#store.releaseLock(id, token);
    return held;
  }

  disconnect(): Promise<void> {
    return this.#options.close();
  }

  async #create(id: string): Promise<void> {
    const now = Date.now();
    try {
      await this.#store.storeSession(id, { sessionId: id, initialized: true, createdAt: now, lastActivity: now });
    } catch (error) {
      // Another caller was faster.
      if (!(error instanceof SessionExistsError)) throw error;
    }
  }

  async #read<T>(id: string): Promise<{ data: T | undefined; version: number } | null> {
    const entry = await this.#store.getState(id);
    if (!entry) return null;
    if (entry.value === null) return { data: undefined, version: entry.version };
    try {
      return { data: JSON.parse(entry.value) as T, version: entry.version };
    } catch {
      // The parser's message quotes the text, which may be a secret.
      throw new SessionRecordUnreadableError('A value of the application is not JSON');
    }
  }

  #idOf(sessionId: unknown): string {
    let id = '';
    try {
      if (typeof sessionId === 'string' && sessionId !== '')
        id = `${this.#options.idPrefix}${encodeURIComponent(sessionId)}`;
    } catch {
      // Half of a surrogate pair.
    }
    if (!isSessionId(id)) throw new InvalidOptionError('sessionId', kindOf(sessionId), ID_FORM);
    return id;
  }
}

function textOf(data: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch {
    // Handled below like a value that JSON leaves out. The error must not show the value.
  }
  if (text === undefined) throw new InvalidOptionError('data', kindOf(data), 'a value that JSON can hold');
  return text;
}
