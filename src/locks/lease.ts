import { unref, withDeadline } from '../deadline.js';
import { LockLostError } from '../errors.js';
import type { Terms } from './lockStore.js';
import { clearTimeout, performance, setTimeout } from '../timers.js';

/** A lock that is held. It is renewed during the work, until it is released or lost. */
export class Lease {
  readonly #terms: Terms;
  readonly #lost = new AbortController();
  /** When the lease ends, by `performance.now()`. Counted from before the request, so the store's lease ends later. */
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

  /** @throws LockLostError if the lease was lost. Looks at the clock: after a suspension, timers may not have run yet */
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
    // The work is done. If the store is unavailable now, it frees the lock when the lease ends.
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
      // Try again until the lease ends.
    }
    if (this.#ended || this.signal.aborted) return;
    if (renewed === false) return this.#lose('Another caller holds the lock, or the store has lost it');
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
