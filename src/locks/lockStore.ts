import type { SessionStore } from '../ports/sessionStore.js';

/** The optional methods of a session store that `withLock` needs. */
export const LOCK_METHODS = ['acquireLock', 'renewLock', 'releaseLock'] as const;

/** The part of a session store that keeps locks: all that `withLock` needs. */
export type LockStore = Required<Pick<SessionStore, (typeof LOCK_METHODS)[number]>>;

/** Whose lock it is, and on which terms. */
export interface Terms {
  readonly store: LockStore;
  readonly sessionId: string;
  /** Names this attempt at the store; nobody can guess it. */
  readonly token: string;
  readonly leaseMs: number;
}
