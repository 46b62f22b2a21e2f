import { Date } from '../../timers.js';

interface Lock {
  holder: string | undefined;
  /** When the lease of the holder ends, by the given clock. */
  heldUntil: number;
  /** Until when each waiter keeps its place, in the order of arrival. */
  readonly places: Map<string, number>;
}

/** Few enough to check all of them at any time. */
const MIN_SWEEP_SIZE = 100;

/** The locks of sessions in this process, with the queue and the leases that `SessionStore` requires. */
export class InMemoryLocks {
  readonly #now: () => number;
  readonly #locks = new Map<string, Lock>();
  #sweepAtSize = MIN_SWEEP_SIZE;

  constructor(now: () => number = () => Date.now()) {
    this.#now = now;
  }

  /** Sessions with a holder or a waiter, as of the last check of each. */
  get size(): number {
    return this.#locks.size;
  }

  async acquireLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    const lock = this.#current(sessionId) ?? this.#add(sessionId);
    const [next = token] = lock.places.keys();
    if (lock.holder === token || (lock.holder === undefined && next === token)) {
      lock.places.delete(token);
      lock.holder = token;
      lock.heldUntil = this.#now() + leaseMs;
      return true;
    }
    lock.places.set(token, this.#now() + leaseMs);
    return false;
  }

  async renewLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    const lock = this.#current(sessionId);
    if (lock?.holder !== token) return false;
    lock.heldUntil = this.#now() + leaseMs;
    return true;
  }

  async releaseLock(sessionId: string, token: string): Promise<void> {
    const lock = this.#current(sessionId);
    if (!lock) return;
    lock.places.delete(token);
    if (lock.holder === token) lock.holder = undefined;
    this.#current(sessionId);
  }

  #add(sessionId: string): Lock {
    if (this.#locks.size >= this.#sweepAtSize) {
      for (const each of [...this.#locks.keys()]) this.#current(each);
      this.#sweepAtSize = Math.max(MIN_SWEEP_SIZE, this.#locks.size * 2);
    }
    const lock: Lock = { holder: undefined, heldUntil: 0, places: new Map() };
    this.#locks.set(sessionId, lock);
    return lock;
  }

  /** The lock without expired leases and places; undefined if none are left. */
  #current(sessionId: string): Lock | undefined {
    const lock = this.#locks.get(sessionId);
    if (!lock) return undefined;
    const now = this.#now();
    if (lock.heldUntil <= now) lock.holder = undefined;
    for (const [token, until] of lock.places) if (until <= now) lock.places.delete(token);
    if (lock.holder !== undefined || lock.places.size > 0) return lock;
    this.#locks.delete(sessionId);
    return undefined;
  }
}
