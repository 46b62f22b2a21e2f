import { withDeadline } from '../deadline.js';
import { isSessionId } from '../ports/sessionId.js';
import {
  InvalidOptionError,
  LockLostError,
  LockTimeoutError,
  SessionStoreUnavailableError,
  SessionStoreUnsupportedError
} from '../errors.js';
import { contendersFor, type Contenders } from './contenders.js';
import type { SessionStore } from '../ports/sessionStore.js';
import { checkNumber, checkOptionsObject, kindOf } from '../validate.js';

export interface LockOptions {
  /** Milliseconds to wait for the lock at most; 0 asks once. @default 30000 */
  timeoutMs?: number;
  /**
   * Milliseconds after which the lock of a process that died is free. It is renewed after a third of it while the
   * work goes on, so the work itself may take longer.
   * @default 10000
   */
  leaseMs?: number;
}

/** The part of a session store that locks. */
export type LockStore = Required<Pick<SessionStore, (typeof LOCK_METHODS)[number]>>;

const LOCK_METHODS = ['acquireLock', 'renewLock', 'releaseLock'] as const;
const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_LEASE_MS = 10_000;
/** How long the one question may take where nobody waits for the lock itself. */
const ONE_QUESTION_MS = 2000;

/**
 * Runs `fn` while no other process that shares the store runs one for the same session. Whoever came first is next.
 * It is not reentrant: a `withLock` within `fn` for the same session waits in vain.
 * @param sessionId - the session need not exist; 1 to 256 visible ASCII characters
 * @param fn - is given a signal that aborts, with a `LockLostError`, when the lease was lost: the process stood still
 *   for longer than the lease, or the store was away. From then on somebody else may hold the lock
 * @returns what `fn` returns
 * @throws LockTimeoutError where the lock was not free in time
 * @throws LockLostError where `fn` has returned and the lease was lost before
 * @throws SessionStoreUnavailableError where the store cannot be asked
 * @throws SessionStoreUnsupportedError where the store has no locks
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
  // The others of this process need not wait for somebody who has lost it.
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

interface Terms {
  readonly store: LockStore;
  readonly sessionId: string;
  readonly token: string;
  readonly leaseMs: number;
}

/** Somebody's way to the lock. */
class Claim {
  readonly #terms: Terms;
  readonly #contenders: Contenders;
  /** Whether the store has answered at all: from then on the claim has a place in the queue. */
  #answered = false;
  #gaveUp = false;
  #asking: Promise<unknown> = Promise.resolve();
  /** What the store failed with last. */
  #failure: unknown;

  constructor(terms: Terms, contenders: Contenders) {
    this.#terms = terms;
    this.#contenders = contenders;
  }

  /** @returns the lease, which is to be ended; the contenders are to be left then. When it throws, both has been done. */
  async wait(timeoutMs: number): Promise<Lease> {
    const patienceMs = timeoutMs === 0 ? ONE_QUESTION_MS : timeoutMs;
    try {
      return await withDeadline(
        () => this.#ask(timeoutMs === 0),
        patienceMs,
        () => this.#late(patienceMs)
      );
    } catch (error) {
      this.#gaveUp = true;
      this.#contenders.leave(this);
      // Not before the question that is under way has been answered: heard behind the release it would take the place again.
      void this.#asking.catch(() => {}).then(() => this.#release());
      throw error;
    }
  }

  async #ask(once: boolean): Promise<Lease> {
    const { store, sessionId, token, leaseMs } = this.#terms;
    const entered = await this.#contenders.enter(this);
    while (!this.#gaveUp) {
      const askedAt = performance.now();
      const holds = await this.#question(() => store.acquireLock(sessionId, token, leaseMs));
      entered();
      if (this.#gaveUp) break;
      // A lease that was over before its answer came is asked for again.
      if (holds && performance.now() < askedAt + leaseMs) {
        this.#contenders.hold(this);
        return new Lease(this.#terms, askedAt);
      }
      if (once && !holds) break;
      await this.#contenders.pause(this, leaseMs);
    }
    throw new LockTimeoutError('The lock is not free', { cause: this.#failure });
  }

  /** Who has a place goes on asking when the store fails; to who has none the store is not there. */
  async #question(ask: () => Promise<boolean>): Promise<boolean> {
    try {
      const asking = ask();
      this.#asking = asking;
      const holds = await asking;
      this.#answered = true;
      return holds;
    } catch (error) {
      if (!this.#answered) throw new SessionStoreUnavailableError('acquireLock failed', { cause: error });
      this.#failure = error;
      return false;
    }
  }

  #late(ms: number): Error {
    this.#gaveUp = true;
    const options = { cause: this.#failure };
    return this.#answered
      ? new LockTimeoutError(`The lock was not free within ${ms} ms`, options)
      : new SessionStoreUnavailableError(`acquireLock did not answer within ${ms} ms`, options);
  }

  async #release(): Promise<void> {
    const { store, sessionId, token } = this.#terms;
    // Where the store is away, the place is lost with its lease.
    await store.releaseLock(sessionId, token).catch(() => {});
  }
}

/** The lock while it is held: renewed in time, or lost. */
class Lease {
  readonly #terms: Terms;
  readonly #lost = new AbortController();
  /** By `performance.now()`, counted from before the store was asked: the store's own lease ends no sooner. */
  #until: number;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #expiry: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(terms: Terms, askedAt: number) {
    this.#terms = terms;
    this.#until = askedAt + terms.leaseMs;
    this.#watch();
    this.#renewIn(terms.leaseMs / 3);
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** @throws LockLostError where the lease was lost; timers of a process that stood still may not have run yet */
  check(): void {
    if (performance.now() >= this.#until) this.#lose('The lease ended before it could be renewed');
    this.signal.throwIfAborted();
  }

  async end(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#renewal);
    clearTimeout(this.#expiry);
    const { store, sessionId, token } = this.#terms;
    const left = Math.max(1, this.#until - performance.now());
    // A store that is away now takes the lock back when the lease ends; the work has been done all the same.
    await withDeadline(
      () => store.releaseLock(sessionId, token),
      left,
      () => new Error('late')
    ).catch(() => {});
  }

  #watch(): void {
    clearTimeout(this.#expiry);
    this.#expiry = setTimeout(
      () => this.#lose('The lease ended before it could be renewed'),
      this.#until - performance.now()
    );
    unref(this.#expiry);
  }

  #renewIn(ms: number): void {
    this.#renewal = setTimeout(() => void this.#renew(), ms);
    unref(this.#renewal);
  }

  async #renew(): Promise<void> {
    const { store, sessionId, token, leaseMs } = this.#terms;
    const askedAt = performance.now();
    let renewed: boolean | undefined;
    try {
      renewed = await store.renewLock(sessionId, token, leaseMs);
    } catch {
      // Asked again until the lease is over.
    }
    if (this.#ended || this.signal.aborted) return;
    if (renewed === false) return this.#lose('The lock is not held any more');
    if (renewed) {
      this.#until = askedAt + leaseMs;
      this.#watch();
    }
    this.#renewIn(leaseMs / (renewed ? 3 : 10));
  }

  #lose(message: string): void {
    clearTimeout(this.#renewal);
    clearTimeout(this.#expiry);
    this.#lost.abort(new LockLostError(message));
  }
}

function unref(timer: ReturnType<typeof setTimeout>): void {
  timer.unref?.();
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
    // Never a lock of this process alone in its place: the store may be shared, and nobody would notice.
    throw new SessionStoreUnsupportedError(
      `withLock needs a store with ${LOCK_METHODS.join(', ')}; missing: ${missing.join(', ')}`
    );
  }
  if (!isSessionId(sessionId)) {
    throw new InvalidOptionError('sessionId', kindOf(sessionId), '1 to 256 visible ASCII characters');
  }
  if (typeof fn !== 'function') throw new InvalidOptionError('fn', kindOf(fn), 'a function');
  checkOptionsObject('options', options);
  checkNumber('timeoutMs', options.timeoutMs, { min: 0 });
  checkNumber('leaseMs', options.leaseMs, { min: 10, integer: true });
}
