import { clearTimeout, setTimeout, performance } from './timers.js';

/** A process that stood still finds its timers due before it has read what came meanwhile: this is to read it. */
const GRACE_MS = 20;

/**
 * The result of `start()`, or a rejection with `onLate()` when it has not settled within `timeoutMs`.
 * What was started goes on; its late result is dropped.
 * @param start - may call what it is given, to say that it goes forward: then the time starts anew
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
    // What is started may throw at once; then no timer is left behind. Without types it may also give no promise.
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

/** Lets the process end although the timer is set. Timers of browsers and edge runtimes do not keep a process alive. */
export function unref(timer: ReturnType<typeof setTimeout>): void {
  (timer as { unref?: () => void }).unref?.();
}

/** What a call may take when its exchange has waited for long enough already: a backend that works needs less. */
const LAST_CALL_MS = 50;

/**
 * How long one exchange may wait for stores and bus, in milliseconds, for all its calls together: a backend that has stopped
 * answering costs a client this long once, not once for each call. The time that the application takes between the calls is
 * not counted, and calls that wait at the same time are counted once.
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
