import { pause, unref } from '../../deadline.js';
import { clearTimeout, performance, setTimeout } from '../../timers.js';
import type { SessionContext } from '../context.js';

/** How often a session that has ended checks whether its open requests are answered. */
const ANSWER_POLL_MS = 100;

/**
 * How long ago the store has confirmed a session, with `sessionFreshnessMs`. While that is not long, requests are served
 * without waiting for the store, which is asked in the background.
 */
export class Freshness {
  readonly #context: SessionContext;
  readonly #exists: () => Promise<boolean>;
  /** When the store was last asked and had the session, by `performance.now()`. */
  #confirmedAt = -Infinity;
  #isEnding = false;
  /** Defined while a question is planned or under way. */
  #next: ReturnType<typeof setTimeout> | undefined;

  /** @param exists - reads the record again; false if the session is missing */
  constructor(context: SessionContext, exists: () => Promise<boolean>) {
    this.#context = context;
    this.#exists = exists;
  }

  /** The store has the session. @param askedAt - when it was asked, by `performance.now()` */
  confirm(askedAt: number): void {
    this.#confirmedAt = askedAt;
  }

  /**
   * Whether a request need not wait for the store. Then the store is asked within half of the time: all requests until then
   * share this question, and it refreshes the time to live after them.
   */
  check(): boolean {
    const { sessionFreshnessMs } = this.#context.options;
    const age = performance.now() - this.#confirmedAt;
    if (this.#isEnding || age >= sessionFreshnessMs) return false;
    if (!this.#next) {
      this.#next = setTimeout(() => void this.#ask(), Math.max(0, sessionFreshnessMs / 2 - age));
      unref(this.#next);
    }
    return true;
  }

  /** The client has asked this pod to end the session. From now on only the store says whether it exists. */
  end(): void {
    this.#isEnding = true;
  }

  /** The session was not removed, as far as this pod knows: the store must confirm it before it is fresh again. */
  restart(): void {
    this.#isEnding = false;
    this.#confirmedAt = -Infinity;
  }

  close(): void {
    clearTimeout(this.#next);
  }

  async #ask(): Promise<void> {
    try {
      if (await this.#exists()) return;
      this.#confirmedAt = -Infinity;
      // The requests that were admitted without the store are still answered.
      while (this.#context.inFlight > 0 && !this.#context.closed) await pause(ANSWER_POLL_MS);
      await this.#context.onEnded('missing');
    } catch (error) {
      this.#context.report(error as Error);
    } finally {
      this.#next = undefined;
    }
  }
}
