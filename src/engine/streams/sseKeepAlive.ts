import { unref } from '../../deadline.js';
import { setInterval } from '../../timers.js';

/** Milliseconds between two comments on a quiet stream, where `keepAliveMs` is not given. */
export const DEFAULT_SSE_KEEP_ALIVE_MS = 15_000;

/** Timers take a longer delay for 1 ms. */
const LONGEST_DELAY_MS = 0x7fff_ffff;

/** Calls `tick` at an interval, without keeping the process alive for it. @returns undefined where the interval is none */
export function armSseKeepAlive(intervalMs: number, tick: () => void): ReturnType<typeof setInterval> | undefined {
  // Negated, so that NaN and what is no number is no interval either.
  if (!(Number.isFinite(intervalMs) && intervalMs >= 1)) return undefined;
  const timer = setInterval(tick, Math.min(intervalMs, LONGEST_DELAY_MS));
  // Not on every runtime is a timer more than a number.
  unref(timer);
  return timer;
}
