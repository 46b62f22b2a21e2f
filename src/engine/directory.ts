import { SessionRecordUnreadableError, SessionStoreUnavailableError } from '../errors.js';
import { applyPatch, type SessionData, type SessionPatch, type SessionStore } from '../sessionStore.js';
import { withDeadline } from './deadline.js';
import { fingerprint } from './sessionId.js';

/** A change is stored behind the look at the session, in the same exchange, so it has less time than the look. */
const PATCH_TIMEOUT_MS = 1000;

/** How often a pod refreshes a session that it holds, when the store does not tell its time to live. */
const DEFAULT_REFRESH_MS = 20_000;

/**
 * The engine's way to the session store: every call has a deadline, every failure becomes one of two errors,
 * and stores with only the five required methods look like the ones with all of them.
 */
export class SessionDirectory {
  readonly #store: SessionStore;
  readonly #timeoutMs: number;
  /** Milliseconds after which a pod refreshes a session that only holds a stream: well within the time to live. */
  readonly refreshMs: number;

  constructor(store: SessionStore, timeoutMs: number) {
    this.#store = store;
    this.#timeoutMs = timeoutMs;
    this.refreshMs = store.ttlSeconds === undefined ? DEFAULT_REFRESH_MS : (store.ttlSeconds * 1000) / 3;
  }

  create(data: SessionData): Promise<void> {
    return this.#ask('storeSession', data.sessionId, store => store.storeSession(data.sessionId, data));
  }

  /** Validates, refreshes and reads in one step; null when the store says that the session is not there. */
  async touch(sessionId: string, known?: SessionData): Promise<SessionData | null> {
    const record = await this.#ask('touchSession', sessionId, store =>
      store.touchSession ? store.touchSession(sessionId, known) : readAndRefresh(store, sessionId)
    );
    if (record !== null && record !== known) checkRecord(sessionId, record);
    return record;
  }

  /** @returns false where the session is missing */
  patch(sessionId: string, patch: SessionPatch): Promise<boolean> {
    const change = (store: SessionStore): Promise<boolean> =>
      store.patchSession ? store.patchSession(sessionId, patch) : readAndReplace(store, sessionId, patch);
    return this.#ask('patchSession', sessionId, change, Math.min(this.#timeoutMs, PATCH_TIMEOUT_MS));
  }

  remove(sessionId: string): Promise<void> {
    return this.#ask('deleteSession', sessionId, store => store.deleteSession(sessionId));
  }

  async #ask<T>(
    call: string,
    sessionId: string,
    run: (store: SessionStore) => Promise<T>,
    timeoutMs = this.#timeoutMs
  ): Promise<T> {
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
    }
  }
}

async function readAndRefresh(store: SessionStore, sessionId: string): Promise<SessionData | null> {
  const record = await store.getSession(sessionId);
  if (record) await store.updateSessionActivity(sessionId);
  return record ?? null;
}

/** The best that five separate calls can do: a session deleted between the two is written once more. */
async function readAndReplace(store: SessionStore, sessionId: string, patch: SessionPatch): Promise<boolean> {
  const record = await store.getSession(sessionId);
  if (!record) return false;
  await store.storeSession(sessionId, { ...applyPatch(record, patch), lastActivity: Date.now() });
  return true;
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
  if (mcp.initialize !== undefined && !isObject(mcp.initialize)) return 'metadata.mcp.initialize is no object';
  for (const field of ['protocolVersion', 'principal', 'logLevel']) {
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
