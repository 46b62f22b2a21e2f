import { withDeadline } from '../deadline.js';
import { LockTimeoutError, SessionStoreUnavailableError } from '../errors.js';
import type { Contenders } from './contenders.js';
import { Lease } from './lease.js';
import type { Terms } from './lockStore.js';
import { performance } from '../timers.js';

/** How long the store may take to answer if the caller does not wait for the lock (`timeoutMs: 0`). */
const ONE_QUESTION_MS = 2000;

/** One attempt to get a lock: it enters the queue and ends with the lease. */
export class Claim {
  readonly #terms: Terms;
  readonly #contenders: Contenders;
  /** Whether the store has answered once. From then on this claim has a place in the queue. */
  #answered = false;
  #gaveUp = false;
  #asking: Promise<unknown> = Promise.resolve();
  /** The last error of the store. */
  #failure: unknown;

  constructor(terms: Terms, contenders: Contenders) {
    this.#terms = terms;
    this.#contenders = contenders;
  }

  /** @returns the lease. The caller ends it, then leaves the contenders. If this throws, both are done already. */
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
      // Wait for the pending acquire first: if it arrived after the release, it would queue again.
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
      // The answer may arrive after the lease has ended: then ask again.
      if (holds && performance.now() < askedAt + leaseMs) {
        this.#contenders.hold(this);
        return new Lease(this.#terms, askedAt);
      }
      if (once && !holds) break;
      await this.#contenders.pause(this, leaseMs);
    }
    throw new LockTimeoutError('The lock is not free', { cause: this.#failure });
  }

  /** If the store fails, a claim with a place in the queue asks again; a claim without one throws. */
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
    // If the store is unavailable, the place in the queue ends with its lease.
    await store.releaseLock(sessionId, token).catch(() => {});
  }
}
