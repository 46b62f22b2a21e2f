import type { SessionStore } from '../ports/sessionStore.js';

/** The optional methods of a session store that `withLock` needs. */
export const LOCK_METHODS = ['acquireLock', 'renewLock', 'releaseLock'] as const;

/** The part of a session store that keeps locks: all that `withLock` needs. */
export type LockStore = Required<Pick<SessionStore, (typeof LOCK_METHODS)[number]>>;

/** The session, the token and the lease time of a lock. */
export interface Terms {
  readonly store: LockStore;
  readonly sessionId: string;
  /** Identifies this attempt in the store. It cannot be guessed. */
  readonly token: string;
  readonly leaseMs: number;
}
