import {
  SessionRecordUnreadableError,
  SessionStoreUnavailableError,
  SessionStoreUnsupportedError
} from '../../errors.js';
import {
  applyPatch,
  type SessionData,
  type SessionOwner,
  type SessionPatch,
  type SessionStateEntry,
  type SessionStore,
  type StateWrite
} from '../../ports/sessionStore.js';
import { type WaitBudget, withDeadline } from '../../deadline.js';
import { exclusively } from './keyedMutex.js';
import { fingerprint } from '../../ports/sessionId.js';
import { Date } from '../../timers.js';

/** A change is stored after the session was looked up, in the same exchange, so it has less time than the look-up. */
const PATCH_TIMEOUT_MS = 1000;

/** How long a pod goes without looking for a session that it holds: so long may one live here that ended unheard. */
const MAX_REFRESH_MS = 20_000;

/**
 * The engine's way to the session store: every call has a deadline, every failure becomes one of two errors,
 * and stores with only the five required methods look like the ones with all of them.
 */
export class StoreAccess {
  readonly #store: SessionStore;
  readonly #timeoutMs: number;
  /** Milliseconds after which a pod refreshes a session that only holds a stream: well within the time to live. */
  readonly refreshMs: number;

  constructor(store: SessionStore, timeoutMs: number) {
    this.#store = store;
    this.#timeoutMs = timeoutMs;
    this.refreshMs = Math.min(MAX_REFRESH_MS, ((store.ttlSeconds ?? Infinity) * 1000) / 3);
  }

  create(data: SessionData, waits?: WaitBudget): Promise<void> {
    return this.#ask('storeSession', data.sessionId, store => store.storeSession(data.sessionId, data), waits);
  }

  /** Validates, refreshes and reads in one step; null when the store says that the session is not there. */
  async touch(sessionId: string, known?: SessionData, waits?: WaitBudget): Promise<SessionData | null> {
    const touch = (store: SessionStore): Promise<SessionData | null> =>
      store.touchSession ? store.touchSession(sessionId, known) : readAndRefresh(store, sessionId);
    const record = await this.#ask('touchSession', sessionId, touch, waits);
    if (record !== null && record !== known) checkRecord(sessionId, record);
    return record;
  }

  /** Who may use the session; null when the store says that it is not there, undefined if the store has no such method. */
  async owner(sessionId: string, waits?: WaitBudget): Promise<SessionOwner | null | undefined> {
    if (!this.#store.getSessionOwner) return undefined;
    const ownerOf = async (store: SessionStore): Promise<SessionOwner | null> =>
      (await store.getSessionOwner?.(sessionId)) ?? null;
    return this.#ask('getSessionOwner', sessionId, ownerOf, waits);
  }

  /** Looks without refreshing; null when the store says that the session is not there. */
  async read(sessionId: string): Promise<SessionData | null> {
    const record = (await this.#ask('getSession', sessionId, store => store.getSession(sessionId))) ?? null;
    if (record) checkRecord(sessionId, record);
    return record;
  }

  /** @returns false where the session is missing */
  patch(sessionId: string, patch: SessionPatch, waits?: WaitBudget): Promise<boolean> {
    const change = (store: SessionStore): Promise<boolean> =>
      store.patchSession
        ? store.patchSession(sessionId, patch)
        : this.#alone(sessionId, isLate => readAndReplace(store, sessionId, isLate, old => applyPatch(old, patch)));
    return this.#ask('patchSession', sessionId, change, waits, Math.min(this.#timeoutMs, PATCH_TIMEOUT_MS));
  }

  /** @returns false if the store reports that another deletion has removed the session */
  async remove(sessionId: string, waits?: WaitBudget): Promise<boolean> {
    const remove = (store: SessionStore): Promise<boolean | void> =>
      store.patchSession
        ? store.deleteSession(sessionId)
        : this.#alone(sessionId, () => store.deleteSession(sessionId));
    const removed = await this.#ask('deleteSession', sessionId, remove, waits);
    return removed !== false;
  }

  /** The application's state; null where the session is missing. @throws SessionStoreUnsupportedError */
  async getState(sessionId: string): Promise<SessionStateEntry | null> {
    this.#checkKeepsState();
    return this.#ask('getState', sessionId, async store => {
      if (store.getState) return store.getState(sessionId);
      const record = await store.getSession(sessionId);
      return record ? stateIn(record) : null;
    });
  }

  /** @throws SessionStoreUnsupportedError */
  async putState(sessionId: string, value: string | null, ifVersion?: number): Promise<StateWrite> {
    this.#checkKeepsState();
    return this.#ask('putState', sessionId, store =>
      store.putState
        ? store.putState(sessionId, value, ifVersion)
        : this.#alone(sessionId, isLate => replaceState(store, sessionId, isLate, value, ifVersion))
    );
  }

  /** A record that is only ever created whole, and patched field by field, has no room for a state. */
  #checkKeepsState(): void {
    const store = this.#store;
    if (store.getState && store.putState) return;
    if (store.getState || store.putState || store.patchSession) {
      throw new SessionStoreUnsupportedError(
        'sessionState needs a store with getState and putState, or one with the five required methods alone'
      );
    }
  }

  /** What reads a record and writes it back must not meet its like, or the session's end: not in this process. */
  #alone<T>(sessionId: string, work: (isLate: () => boolean) => Promise<T>): Promise<T> {
    return exclusively(this.#store, sessionId, this.#timeoutMs, work);
  }

  async #ask<T>(
    call: string,
    sessionId: string,
    run: (store: SessionStore) => Promise<T>,
    waits?: WaitBudget,
    atMostMs = this.#timeoutMs
  ): Promise<T> {
    const timeoutMs = waits ? waits.begin(atMostMs) : atMostMs;
    try {
      return await withDeadline(
        () => run(this.#store),
        timeoutMs,
        () => new SessionStoreUnavailableError(`${call} did not answer within ${timeoutMs} ms`)
      );
    } catch (error) {
      if (error instanceof SessionStoreUnavailableError) throw error;
      const session = fingerprint(sessionId);
      if (error instanceof SessionRecordUnreadableError) {
        throw new SessionRecordUnreadableError(`The record of session ${session} is unreadable`, { cause: error });
      }
      throw new SessionStoreUnavailableError(`${call} failed for session ${session}`, { cause: error });
    } finally {
      waits?.end();
    }
  }
}

async function readAndRefresh(store: SessionStore, sessionId: string): Promise<SessionData | null> {
  const record = await store.getSession(sessionId);
  if (record) await store.updateSessionActivity(sessionId);
  return record ?? null;
}

/** The best that five separate calls can do: a session that another pod deletes between the two is written once more. */
async function readAndReplace(
  store: SessionStore,
  sessionId: string,
  isLate: () => boolean,
  change: (record: SessionData) => SessionData | undefined
): Promise<boolean> {
  const record = await store.getSession(sessionId);
  if (!record) return false;
  const changed = change(record);
  // Others have had their turn since the record was read: the session may have changed, or ended.
  if (isLate()) throw new SessionStoreUnavailableError('The record was read too late to be written back');
  if (changed) await store.storeSession(sessionId, { ...changed, lastActivity: Date.now() });
  return true;
}

async function replaceState(
  store: SessionStore,
  sessionId: string,
  isLate: () => boolean,
  value: string | null,
  ifVersion: number | undefined
): Promise<StateWrite> {
  let conflict = false;
  const found = await readAndReplace(store, sessionId, isLate, record => {
    const { version } = stateIn(record);
    conflict = ifVersion !== undefined && ifVersion !== version;
    if (conflict) return undefined;
    const mcp = { ...record.metadata?.mcp, state: { value, version: version + 1 } };
    return { ...record, metadata: { ...record.metadata, mcp } };
  });
  if (!found) return 'missing';
  return conflict ? 'conflict' : 'written';
}

function stateIn(record: SessionData): SessionStateEntry {
  const state: unknown = record.metadata?.mcp?.state ?? { value: null, version: 0 };
  if (isObject(state) && (state.value === null || typeof state.value === 'string') && Number.isInteger(state.version)) {
    return state as unknown as SessionStateEntry;
  }
  throw new SessionRecordUnreadableError('metadata.mcp.state is no state');
}

/** A record comes from outside: from another version, another program, a truncated write. */
function checkRecord(sessionId: string, record: SessionData): void {
  const problem = recordProblem(sessionId, record);
  if (problem !== undefined) {
    throw new SessionRecordUnreadableError(`The record of session ${fingerprint(sessionId)} is unreadable: ${problem}`);
  }
}

function recordProblem(sessionId: string, record: unknown): string | undefined {
  if (!isObject(record)) return 'it is no object';
  if (record.sessionId !== sessionId) return 'it is of another session';
  if (record.metadata === undefined || record.metadata === null) return undefined;
  if (!isObject(record.metadata)) return 'metadata is no object';
  const { mcp } = record.metadata;
  if (mcp === undefined) return undefined;
  if (!isObject(mcp)) return 'metadata.mcp is no object';
  if (mcp.version !== undefined && mcp.version !== 1) return 'it was written by a newer version of this package';
  if (mcp.initialize !== undefined && !isObject(mcp.initialize)) return 'metadata.mcp.initialize is no object';
  for (const field of ['protocolVersion', 'principal', 'logLevel', 'namespace', 'serverName']) {
    if (mcp[field] !== undefined && typeof mcp[field] !== 'string') return `metadata.mcp.${field} is no string`;
  }
  const { subscriptions } = mcp;
  const readable =
    subscriptions === undefined ||
    (Array.isArray(subscriptions) && subscriptions.every((uri: unknown) => typeof uri === 'string'));
  return readable ? undefined : 'metadata.mcp.subscriptions is no list of strings';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
