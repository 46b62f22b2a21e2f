import { InvalidOptionError, SessionStoreUnsupportedError } from '../errors.js';
import { isSessionId } from '../ports/sessionId.js';
import type { SessionStore } from '../ports/sessionStore.js';
import { checkNumber, checkOptionsObject, kindOf } from '../validate.js';
import { Claim } from './claim.js';
import { contendersFor } from './contenders.js';
import { LOCK_METHODS, type LockStore } from './lockStore.js';

/** Options of {@link withLock}. */
export interface LockOptions {
  /** How long to wait for the lock, in milliseconds. 0 asks once and does not wait. @default 30000 */
  timeoutMs?: number;
  /**
   * How long the store keeps the lock without a renewal, in milliseconds: if the process dies, the lock is free after
   * this time. While `fn` runs, the lock is renewed every third of it, so `fn` may take longer. A whole number, at
   * least 10.
   * @default 10000
   */
  leaseMs?: number;
}

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof LockOptions, true>> = {
  timeoutMs: true,
  leaseMs: true
};

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_LEASE_MS = 10_000;

/**
 * Runs `fn` while no other caller runs one for the same session, in this process or in any other that shares the store.
 * Callers get the lock in the order in which they asked. The lock is not reentrant: if `fn` calls `withLock` for the
 * same session, that call waits until it times out.
 * @param store - a session store with `acquireLock`, `renewLock` and `releaseLock`
 * @param sessionId - 1 to 256 visible ASCII characters; the session does not have to exist
 * @param fn - gets a signal. The signal aborts with a `LockLostError` if the lock was lost: the process was suspended
 *   for longer than the lease, or the store was unavailable. From then on another caller may hold the lock
 * @returns what `fn` returns
 * @throws LockTimeoutError if the lock was not free within `timeoutMs`
 * @throws LockLostError if the lock was lost before `fn` returned
 * @throws SessionStoreUnavailableError if the store fails or does not answer
 * @throws SessionStoreUnsupportedError if the store has no locks
 * @throws InvalidOptionError if an argument is invalid
 */
export async function withLock<T>(
  store: SessionStore | LockStore,
  sessionId: string,
  fn: (signal: AbortSignal) => T | Promise<T>,
  options: LockOptions = {}
): Promise<T> {
  checkCall(store, sessionId, fn, options);
  const { timeoutMs = DEFAULT_TIMEOUT_MS, leaseMs = DEFAULT_LEASE_MS } = options;
  const token = globalThis.crypto.randomUUID();
  const contenders = contendersFor(store, sessionId);
  const claim = new Claim({ store, sessionId, token, leaseMs }, contenders);
  const lease = await claim.wait(timeoutMs);
  // The lock is lost: let the next caller of this process ask for it now.
  lease.signal.addEventListener('abort', () => contenders.leave(claim));
  try {
    const result = await fn(lease.signal);
    lease.check();
    return result;
  } finally {
    await lease.end();
    contenders.leave(claim);
  }
}

function checkCall(
  store: SessionStore | LockStore,
  sessionId: string,
  fn: unknown,
  options: LockOptions
): asserts store is LockStore {
  const missing =
    typeof store === 'object' && store !== null
      ? LOCK_METHODS.filter(method => typeof store[method] !== 'function')
      : LOCK_METHODS;
  if (missing.length > 0) {
    // Never fall back to a lock of this process: if the store is shared, the missing protection would not be detected.
    throw new SessionStoreUnsupportedError(
      `withLock needs a store with ${LOCK_METHODS.join(', ')}; missing: ${missing.join(', ')}`
    );
  }
  if (!isSessionId(sessionId)) {
    throw new InvalidOptionError('sessionId', kindOf(sessionId), '1 to 256 visible ASCII characters');
  }
  if (typeof fn !== 'function') throw new InvalidOptionError('fn', kindOf(fn), 'a function');
  checkOptionsObject('options', options, OPTION_NAMES);
  checkNumber('timeoutMs', options.timeoutMs, { min: 0 });
  checkNumber('leaseMs', options.leaseMs, { min: 10, integer: true });
}
