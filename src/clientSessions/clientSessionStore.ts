import { pause, withDeadline } from '../deadline.js';
import { fingerprint, isSessionId } from '../ports/sessionId.js';
import { SessionExistsError, SessionRecordUnreadableError, SessionStoreUnavailableError } from '../errors.js';
import type { SessionStore } from '../ports/sessionStore.js';
import { type ClientSession, parseStored, type StoredClientSession } from './record.js';
import { Date } from '../timers.js';

/** The methods that a store needs in addition to the five required ones. */
export const STATE_METHODS = ['getState', 'putState', 'listSessionIds'] as const;
type StateStore = SessionStore & Required<Pick<SessionStore, (typeof STATE_METHODS)[number]>>;

/** After this many conflicts, each writer has waited longer than any store needs. */
const MAX_CONFLICTS = 50;
const MAX_PAUSE_MS = 50;

/** Where client sessions are kept. Missing, expired and belonging to another identity are the same. */
export interface ClientSessionBackend {
  /** @throws SessionExistsError */
  create(session: ClientSession): Promise<void>;
  /** Reads without refreshing. */
  read(identity: string, sessionId: string): Promise<StoredClientSession | null>;
  /** Restarts the time to live. */
  refresh(sessionId: string, identity: string): Promise<void>;
  /**
   * Replaces the session by the result of `step`, atomically. `step` may be called more than once, and returns undefined
   * to leave the session unchanged.
   * @returns the session after the change
   */
  change(
    identity: string,
    sessionId: string,
    step: (stored: StoredClientSession) => StoredClientSession | undefined
  ): Promise<StoredClientSession | null>;
  /** @returns whether it existed */
  remove(identity: string, sessionId: string): Promise<boolean>;
  /** The sessions of an identity, in batches. */
  ofIdentity(identity: string): AsyncIterable<StoredClientSession[]>;
  /** All sessions, in batches. */
  all(): AsyncIterable<StoredClientSession[]>;
  close(): Promise<void>;
}

/**
 * Client sessions in a session store: the identity is the record's principal, so the store's index finds the sessions
 * of an identity. The session itself is the record's state. It is changed by compare-and-set.
 */
export class ClientSessionStore implements ClientSessionBackend {
  readonly #store: StateStore;
  readonly #timeoutMs: number;

  constructor(store: SessionStore, timeoutMs: number) {
    this.#store = store as StateStore;
    this.#timeoutMs = timeoutMs;
  }

  async create(session: ClientSession): Promise<void> {
    const { sessionId, identity, createdAt } = session;
    const metadata = { mcp: { principal: identity } };
    const record = { sessionId, initialized: true, createdAt, lastActivity: Date.now(), metadata };
    await this.#ask('storeSession', sessionId, store => store.storeSession(sessionId, record));
    try {
      const value = JSON.stringify({ v: 1, session, oauth: {} } satisfies StoredClientSession);
      const written = await this.#ask('putState', sessionId, store => store.putState(sessionId, value, 0));
      if (written !== 'written') throw new SessionStoreUnavailableError(`putState of a new session was ${written}`);
    } catch (error) {
      // A record without a session counts as missing and expires. This only removes it earlier.
      await this.#store.deleteSession(sessionId).catch(() => {});
      throw error;
    }
  }

  /** Reads without refreshing. @returns null if it is missing or belongs to another identity */
  async read(identity: string, sessionId: string): Promise<StoredClientSession | null> {
    return (await this.#entry(identity, sessionId))?.stored ?? null;
  }

  /** Restarts the time to live. */
  refresh(sessionId: string): Promise<void> {
    return this.#ask('updateSessionActivity', sessionId, store => store.updateSessionActivity(sessionId));
  }

  /**
   * Replaces the session by the result of `step`. If another caller changed it meanwhile, `step` is called again with
   * the new session.
   * @param step - returns undefined to leave the session unchanged
   * @returns the session after the change; null if it is missing or belongs to another identity
   */
  async change(
    identity: string,
    sessionId: string,
    step: (stored: StoredClientSession) => StoredClientSession | undefined
  ): Promise<StoredClientSession | null> {
    for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts++) {
      const entry = await this.#entry(identity, sessionId);
      if (!entry) return null;
      const next = step(entry.stored);
      if (next === undefined) return entry.stored;
      // Before the write, so that a failure here leaves the session unchanged.
      if (conflicts === 0) await this.refresh(sessionId);
      const value = JSON.stringify(next);
      const written = await this.#ask('putState', sessionId, store => store.putState(sessionId, value, entry.version));
      if (written === 'missing') return null;
      if (written === 'written') return next;
      // A random time, so that writers that conflicted do not conflict again.
      await pause(Math.random() * Math.min(2 ** conflicts, MAX_PAUSE_MS));
    }
    const session = fingerprint(sessionId);
    throw new SessionStoreUnavailableError(
      `Other callers changed client session ${session} in each of ${MAX_CONFLICTS} attempts`
    );
  }

  /** @returns false if it is missing or belongs to another identity */
  async remove(identity: string, sessionId: string): Promise<boolean> {
    if (!(await this.#entry(identity, sessionId))) return false;
    await this.#ask('deleteSession', sessionId, store => store.deleteSession(sessionId));
    return true;
  }

  /** The sessions of an identity, in the batches of the store's index. */
  ofIdentity(identity: string): AsyncIterable<StoredClientSession[]> {
    return this.#list(identity);
  }

  all(): AsyncIterable<StoredClientSession[]> {
    return this.#list(undefined);
  }

  /** @param identity - undefined: all */
  async *#list(identity: string | undefined): AsyncIterable<StoredClientSession[]> {
    const filter = identity === undefined ? {} : { principal: identity };
    const batches = this.#store.listSessionIds(filter)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const batch = await this.#ask('listSessionIds', '', () => batches.next());
        if (batch.done) return;
        const found = await Promise.all(batch.value.map(sessionId => this.#entry(identity, sessionId)));
        yield found.flatMap(entry => entry?.stored ?? []);
      }
    } finally {
      // Closes a cursor that the store may hold. Its error is ignored: all sessions were read, or another error is
      // thrown.
      await batches.return?.().catch(() => {});
    }
  }

  async close(): Promise<void> {
    await this.#store.close?.();
  }

  /** @param identity - undefined: any */
  async #entry(
    identity: string | undefined,
    sessionId: string
  ): Promise<{ stored: StoredClientSession; version: number } | undefined> {
    if (!isSessionId(sessionId)) return undefined;
    return this.#ask('getState', sessionId, async store => {
      const state = await store.getState(sessionId);
      if (typeof state?.value !== 'string') return undefined;
      const stored = parseStored(sessionId, state.value);
      const isMeant = identity === undefined || stored.session.identity === identity;
      return isMeant ? { stored, version: state.version } : undefined;
    });
  }

  async #ask<T>(call: string, sessionId: string, run: (store: StateStore) => Promise<T>): Promise<T> {
    try {
      return await withDeadline(
        () => run(this.#store),
        this.#timeoutMs,
        () => new SessionStoreUnavailableError(`${call} did not answer within ${this.#timeoutMs} ms`)
      );
    } catch (error) {
      if (error instanceof SessionStoreUnavailableError || error instanceof SessionExistsError) throw error;
      const session = fingerprint(sessionId);
      if (error instanceof SessionRecordUnreadableError) {
        throw new SessionRecordUnreadableError(`Client session ${session} is unreadable`, { cause: error });
      }
      throw new SessionStoreUnavailableError(`${call} failed for client session ${session}`, { cause: error });
    }
  }
}
