import { unref } from '../../deadline.js';
import { isBun } from '../../runtime.js';
import { setInterval } from '../../timers.js';

const DEFAULT_SSE_KEEP_ALIVE_MS = 15_000;
/** Less than the 10 seconds after which Bun ends a quiet connection. */
const BUN_SSE_KEEP_ALIVE_MS = 8000;

/** Milliseconds between two comments on a quiet stream, if `keepAliveMs` is not given. */
export function defaultSseKeepAliveMs(): number {
  return isBun() ? BUN_SSE_KEEP_ALIVE_MS : DEFAULT_SSE_KEEP_ALIVE_MS;
}

/** Timers treat a longer delay as 1 ms. */
const LONGEST_DELAY_MS = 0x7fff_ffff;

/** Calls `tick` at an interval; does not keep the process alive. @returns undefined if the interval is not at least 1 */
export function armSseKeepAlive(intervalMs: number, tick: () => void): ReturnType<typeof setInterval> | undefined {
  // Negated, so that NaN and values that are not numbers also give undefined.
  if (!(Number.isFinite(intervalMs) && intervalMs >= 1)) return undefined;
  const timer = setInterval(tick, Math.min(intervalMs, LONGEST_DELAY_MS));
  // On some runtimes a timer is only a number.
  unref(timer);
  return timer;
}
