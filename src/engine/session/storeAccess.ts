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
import type { WaitBudget } from '../../deadline.js';
import { exclusively } from './keyedMutex.js';
import { SharedRefresh } from './sharedRefresh.js';
import { fingerprint } from '../../ports/sessionId.js';
import { Date } from '../../timers.js';
import type { PortCalls, PortErrors } from '../../events/portCalls.js';

/** A change is stored after the look-up in the same exchange, so it has less time than the look-up. */
const PATCH_TIMEOUT_MS = 1000;

/** No session has this id. */
const PROBE_ID = 'anypod-health-probe';

/**
 * Maximum time between two checks of a session that a pod holds. If the message about its end is lost, the session is
 * served for at most this time.
 */
const MAX_REFRESH_MS = 20_000;

/** The part of that time in which sessions that are due are collected, to ask about all of them in one call. */
const SHARED_PART = 1 / 20;

/**
 * The engine's access to the session store. Every call has a timeout, and every failure becomes one of two errors. A
 * store with only the five required methods is used like a store with all methods.
 */
export class StoreAccess {
  readonly #store: SessionStore;
  readonly #timeoutMs: number;
  readonly #calls: PortCalls;
  readonly #errors: PortErrors;
  /** How often a pod refreshes a session that only has a stream, in milliseconds: well within the time to live. */
  readonly refreshMs: number;
  /** Undefined if the store is asked about each session by itself. */
  readonly #sharedRefresh: SharedRefresh | undefined;

  constructor(store: SessionStore, timeoutMs: number, calls: PortCalls) {
    this.#store = store;
    this.#timeoutMs = timeoutMs;
    this.#calls = calls;
    this.#errors = errorsOf(store);
    this.refreshMs = Math.min(MAX_REFRESH_MS, ((store.ttlSeconds ?? Infinity) * 1000) / 3);
    if (store.refreshSessions) {
      this.#sharedRefresh = new SharedRefresh(known => this.#refresh(known), this.refreshMs * SHARED_PART);
    }
  }

  create(data: SessionData, waits?: WaitBudget): Promise<void> {
    return this.#ask('storeSession', data.sessionId, store => store.storeSession(data.sessionId, data), waits);
  }

  /** Validates, refreshes and reads in one step. Null if the store does not have the session. */
  async touch(sessionId: string, known?: SessionData, waits?: WaitBudget): Promise<SessionData | null> {
    const touch = (store: SessionStore): Promise<SessionData | null> =>
      store.touchSession ? store.touchSession(sessionId, known) : readAndRefresh(store, sessionId);
    const record = await this.#ask('touchSession', sessionId, touch, waits);
    if (record !== null && record !== known) checkRecord(sessionId, record);
    return record;
  }

  /**
   * Restarts the time to live of a session that only has a stream. The store is asked soon, about many at once.
   * @returns whether it exists and is unchanged; false if the store must be asked with {@link touch}
   */
  async isUnchanged(known: SessionData): Promise<boolean> {
    return this.#sharedRefresh?.isUnchanged(known) ?? false;
  }

  /**
   * The owner of the session. Null if the store does not have the session, undefined if the store does not have this
   * method.
   */
  async owner(sessionId: string, waits?: WaitBudget): Promise<SessionOwner | null | undefined> {
    if (!this.#store.getSessionOwner) return undefined;
    const ownerOf = async (store: SessionStore): Promise<SessionOwner | null> =>
      (await store.getSessionOwner?.(sessionId)) ?? null;
    return this.#ask('getSessionOwner', sessionId, ownerOf, waits);
  }

  /** Reads without refreshing. Null if the store does not have the session. */
  async read(sessionId: string): Promise<SessionData | null> {
    const record = (await this.#ask('getSession', sessionId, store => store.getSession(sessionId))) ?? null;
    if (record) checkRecord(sessionId, record);
    return record;
  }

  /** @returns false if the session is missing */
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

  /** The application's state; null if the session is missing. @throws SessionStoreUnsupportedError */
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

  /** Asks the store something without consequence. @throws SessionStoreUnavailableError */
  async probe(): Promise<void> {
    await this.#ask('sessionExists', PROBE_ID, store => store.sessionExists(PROBE_ID));
  }

  /** A store with `patchSession` cannot replace a whole record, so the state cannot be kept in the record. */
  #checkKeepsState(): void {
    const store = this.#store;
    if (store.getState && store.putState) return;
    if (store.getState || store.putState || store.patchSession) {
      throw new SessionStoreUnsupportedError(
        'sessionState needs a store with getState and putState, or one with only the five required methods'
      );
    }
  }

  /** In this process, a read-modify-write must not overlap another one, or the deletion of the session. */
  #alone<T>(sessionId: string, work: (isLate: () => boolean) => Promise<T>): Promise<T> {
    return exclusively(this.#store, sessionId, this.#timeoutMs, work);
  }

  #refresh(known: readonly SessionData[]): Promise<readonly boolean[]> {
    return this.#ask('refreshSessions', undefined, async store => (await store.refreshSessions?.(known)) ?? []);
  }

  #ask<T>(
    name: string,
    sessionId: string | undefined,
    run: (store: SessionStore) => Promise<T>,
    waits?: WaitBudget,
    timeoutMs = this.#timeoutMs
  ): Promise<T> {
    return this.#calls.call({ name, run: () => run(this.#store), timeoutMs, waits, sessionId }, this.#errors);
  }
}

function errorsOf(store: SessionStore): PortErrors {
  return {
    late: (name, timeoutMs) =>
      new SessionStoreUnavailableError(`${name} did not answer within ${timeoutMs} ms${reasonIn(store)}`),
    failed(error, name, sessionId) {
      if (error instanceof SessionStoreUnavailableError) return error;
      if (sessionId === undefined) return new SessionStoreUnavailableError(`${name} failed`, { cause: error });
      const session = fingerprint(sessionId);
      return error instanceof SessionRecordUnreadableError
        ? new SessionRecordUnreadableError(`The record of session ${session} is unreadable`, { cause: error })
        : new SessionStoreUnavailableError(`${name} failed for session ${session}`, { cause: error });
    }
  };
}

/** Why the store does not answer, in brackets. Any store may have been written by the application. */
function reasonIn(store: SessionStore): string {
  try {
    const reason = store.outageReason?.();
    return reason === undefined ? '' : ` (${reason})`;
  } catch {
    return '';
  }
}

async function readAndRefresh(store: SessionStore, sessionId: string): Promise<SessionData | null> {
  const record = await store.getSession(sessionId);
  if (record) await store.updateSessionActivity(sessionId);
  return record ?? null;
}

/**
 * Not atomic: with the five required methods, a session that another pod deletes between read and write is written
 * again.
 */
async function readAndReplace(
  store: SessionStore,
  sessionId: string,
  isLate: () => boolean,
  change: (record: SessionData) => SessionData | undefined
): Promise<boolean> {
  const record = await store.getSession(sessionId);
  if (!record) return false;
  const changed = change(record);
  // Other work has started since the record was read: the session may have changed or ended.
  if (isLate()) throw new SessionStoreUnavailableError('The store answered too late to write the record back');
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
  throw new SessionRecordUnreadableError('metadata.mcp.state has an invalid shape');
}

/** A record may be invalid: it may come from another version, another program or a truncated write. */
function checkRecord(sessionId: string, record: SessionData): void {
  const problem = recordProblem(sessionId, record);
  if (problem !== undefined) {
    throw new SessionRecordUnreadableError(`The record of session ${fingerprint(sessionId)} is unreadable: ${problem}`);
  }
}

function recordProblem(sessionId: string, record: unknown): string | undefined {
  if (!isObject(record)) return 'it is not an object';
  if (record.sessionId !== sessionId) return 'it belongs to another session';
  if (record.metadata === undefined || record.metadata === null) return undefined;
  if (!isObject(record.metadata)) return 'metadata is not an object';
  const { mcp } = record.metadata;
  if (mcp === undefined) return undefined;
  if (!isObject(mcp)) return 'metadata.mcp is not an object';
  if (mcp.version !== undefined && mcp.version !== 1) return 'it was written by a newer version of this package';
  if (mcp.initialize !== undefined && !isObject(mcp.initialize)) return 'metadata.mcp.initialize is not an object';
  for (const field of ['protocolVersion', 'principal', 'logLevel', 'namespace', 'serverName']) {
    if (mcp[field] !== undefined && typeof mcp[field] !== 'string') return `metadata.mcp.${field} is not a string`;
  }
  const { subscriptions } = mcp;
  const readable =
    subscriptions === undefined ||
    (Array.isArray(subscriptions) && subscriptions.every((uri: unknown) => typeof uri === 'string'));
  return readable ? undefined : 'metadata.mcp.subscriptions is not a list of strings';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
