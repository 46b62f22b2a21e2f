import { clearTimeout, setTimeout, performance } from './timers.js';

/** After a suspension of the process, timers run before pending data is read. This extra time allows it to be read. */
const GRACE_MS = 20;

/**
 * The result of `start()`, or a rejection with `onLate()` if it does not settle within `timeoutMs`. The started work
 * continues; its late result is dropped.
 * @param start - gets a function that restarts the time; it calls the function after each progress
 */
export function withDeadline<T>(
  start: (restart: () => void) => Promise<T>,
  timeoutMs: number,
  onLate = () => new Error(`no answer within ${timeoutMs} ms`)
): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isSettled = false;
    const restart = (): void => {
      if (isSettled) return;
      clearTimeout(timer);
      timer = setTimeout(() => (timer = setTimeout(() => reject(onLate()), GRACE_MS)), timeoutMs);
    };
    // `start` may throw synchronously, so the timer is set after it. In JavaScript it may also return no promise.
    const started = Promise.resolve(start(restart));
    restart();
    const settle = (): void => {
      isSettled = true;
      clearTimeout(timer);
    };
    started.then(
      result => {
        settle();
        resolve(result);
      },
      (error: Error) => {
        settle();
        reject(error);
      }
    );
  });
}

/** Settles after `ms` milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

/**
 * Lets the process exit while the timer is pending. Browsers and edge runtimes do not have this method and do not need
 * it.
 */
export function unref(timer: ReturnType<typeof setTimeout>): void {
  (timer as { unref?: () => void }).unref?.();
}

/** The timeout of a call after its exchange has used up its time. A backend that works needs less. */
const LAST_CALL_MS = 50;

/**
 * How long one exchange may wait for stores and bus, in milliseconds, for all its calls together. So a backend that
 * does not answer delays a client once, not once for each call. The time of the application between the calls is not
 * counted. Concurrent calls are counted once.
 */
export class WaitBudget {
  #leftMs: number;
  #waiting = 0;
  #waitingSince = 0;

  constructor(ms: number) {
    this.#leftMs = ms;
  }

  /**
   * A call begins to wait; {@link end} must follow.
   * @returns how long it may take, in milliseconds
   */
  begin(atMostMs: number): number {
    const now = performance.now();
    if (this.#waiting++ === 0) this.#waitingSince = now;
    const leftMs = this.#leftMs - (now - this.#waitingSince);
    return Math.ceil(Math.min(atMostMs, Math.max(leftMs, LAST_CALL_MS)));
  }

  end(): void {
    if (--this.#waiting === 0) this.#leftMs -= performance.now() - this.#waitingSince;
  }
}
