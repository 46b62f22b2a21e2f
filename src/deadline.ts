import { clearTimeout, setTimeout } from './timers.js';

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
