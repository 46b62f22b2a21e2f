import { unref } from '../../deadline.js';
import { setInterval } from '../../timers.js';

/** Milliseconds between two comments on a quiet stream, if `keepAliveMs` is not given. */
export const DEFAULT_SSE_KEEP_ALIVE_MS = 15_000;

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
