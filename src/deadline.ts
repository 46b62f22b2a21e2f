import { clearTimeout, setTimeout, performance } from './timers.js';

/** After a suspension of the process, timers run before pending data is read. This extra time allows it to be read. */
const GRACE_MS = 20;

/** Whether {@link callsSettled} may be called: elsewhere each of many calls would be noted for nobody. */
let isTracking = false;

/** The tracked calls that have neither settled nor passed their deadline, and those that wait for some of them. */
const openCalls = new Set<object>();
const waiting = new Set<{ readonly calls: Set<object>; readonly done: () => void }>();

/** In a Worker, calls of a request that was stopped never settle. Beyond this number, the oldest are forgotten. */
const MAX_OPEN_CALLS = 10_000;
const MAX_WAIT_MS = 5000;

/** From now on {@link callsSettled} knows the calls that begin. */
export function trackCalls(): void {
  isTracking = true;
}

/** Settles after every tracked call of {@link withDeadline} that has begun before, or some seconds later. */
export function callsSettled(): Promise<void> {
  if (openCalls.size === 0) return Promise.resolve();
  return new Promise(resolve => {
    const done = (): void => {
      clearTimeout(timer);
      waiting.delete(waiter);
      resolve();
    };
    const waiter = { calls: new Set(openCalls), done };
    const timer = setTimeout(done, MAX_WAIT_MS);
    waiting.add(waiter);
  });
}

function callBegan(): object | undefined {
  if (!isTracking) return undefined;
  const call = {};
  openCalls.add(call);
  if (openCalls.size > MAX_OPEN_CALLS) openCalls.delete(openCalls.values().next().value as object);
  return call;
}

function callEnded(call: object | undefined): void {
  if (!call) return;
  openCalls.delete(call);
  for (const each of waiting) {
    each.calls.delete(call);
    if (each.calls.size === 0) each.done();
  }
}

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
    let call: object | undefined = undefined;
    const late = (): void => {
      callEnded(call);
      reject(onLate());
    };
    const restart = (): void => {
      if (isSettled) return;
      clearTimeout(timer);
      timer = setTimeout(() => (timer = setTimeout(late, GRACE_MS)), timeoutMs);
    };
    // `start` may throw synchronously, so the timer is set after it. In JavaScript it may also return no promise.
    const started = Promise.resolve(start(restart));
    call = callBegan();
    restart();
    const settle = (): void => {
      isSettled = true;
      clearTimeout(timer);
      callEnded(call);
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
