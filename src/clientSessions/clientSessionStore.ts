import { pause, withDeadline } from '../deadline.js';
import { fingerprint, isSessionId } from '../ports/sessionId.js';
import { SessionExistsError, SessionRecordUnreadableError, SessionStoreUnavailableError } from '../errors.js';
import type { SessionStore } from '../ports/sessionStore.js';
import { type ClientSession, parseStored, type StoredClientSession } from './record.js';
import { Date } from '../timers.js';

/** What a store needs beside the five methods that each has. */
export const STATE_METHODS = ['getState', 'putState', 'listSessionIds'] as const;
type StateStore = SessionStore & Required<Pick<SessionStore, (typeof STATE_METHODS)[number]>>;

/** Writers of one session that meet again and again have each waited longer by then than any store takes. */
const MAX_CONFLICTS = 50;
const MAX_PAUSE_MS = 50;

/**
 * Client sessions in a session store: the identity is the record's principal, so that the store's own index finds the
 * sessions of an identity, and the session itself is the record's state, changed by compare-and-set.
 */
export class ClientSessionStore {
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
      // A record without a session counts as missing, and expires: this only makes it sooner.
      await this.#store.deleteSession(sessionId).catch(() => {});
      throw error;
    }
  }

  /** Reads without refreshing. @returns null where it is missing or another identity's */
  async read(identity: string, sessionId: string): Promise<StoredClientSession | null> {
    return (await this.#entry(identity, sessionId))?.stored ?? null;
  }

  /** Starts the time to live anew. */
  refresh(sessionId: string): Promise<void> {
    return this.#ask('updateSessionActivity', sessionId, store => store.updateSessionActivity(sessionId));
  }

  /**
   * Replaces the session by what `step` makes of it, however many others do the same at the same time: then it is
   * asked again, of what they have made.
   * @param step - undefined leaves the session as it is
   * @returns the session as it is now; null where it is missing or another identity's
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
      // Before the write, so that a store that fails here has changed nothing.
      if (conflicts === 0) await this.refresh(sessionId);
      const value = JSON.stringify(next);
      const written = await this.#ask('putState', sessionId, store => store.putState(sessionId, value, entry.version));
      if (written === 'missing') return null;
      if (written === 'written') return next;
      // A random time, so that writers that met do not meet again.
      await pause(Math.random() * Math.min(2 ** conflicts, MAX_PAUSE_MS));
    }
    const session = fingerprint(sessionId);
    throw new SessionStoreUnavailableError(`Client session ${session} was changed by others ${MAX_CONFLICTS} times`);
  }

  /** @returns false where it is missing or another identity's */
  async remove(identity: string, sessionId: string): Promise<boolean> {
    if (!(await this.#entry(identity, sessionId))) return false;
    await this.#ask('deleteSession', sessionId, store => store.deleteSession(sessionId));
    return true;
  }

  /** The sessions of an identity, as many at a time as the store's index gives. */
  async *ofIdentity(identity: string): AsyncIterable<StoredClientSession[]> {
    const batches = this.#store.listSessionIds({ principal: identity })[Symbol.asyncIterator]();
    try {
      for (;;) {
        const batch = await this.#ask('listSessionIds', '', () => batches.next());
        if (batch.done) return;
        const found = await Promise.all(batch.value.map(sessionId => this.read(identity, sessionId)));
        yield found.filter(stored => stored !== null);
      }
    } finally {
      // A store may hold a cursor open; it has been read to its end, or there is an error already.
      await batches.return?.().catch(() => {});
    }
  }

  async close(): Promise<void> {
    await this.#store.close?.();
  }

  async #entry(
    identity: string,
    sessionId: string
  ): Promise<{ stored: StoredClientSession; version: number } | undefined> {
    if (!isSessionId(sessionId)) return undefined;
    return this.#ask('getState', sessionId, async store => {
      const state = await store.getState(sessionId);
      if (typeof state?.value !== 'string') return undefined;
      const stored = parseStored(sessionId, state.value);
      return stored.session.identity === identity ? { stored, version: state.version } : undefined;
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
