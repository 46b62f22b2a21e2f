import { Date, performance } from '../../timers.js';
import type { Findings } from '../finding.js';

const PINGS = 9;
/** Above this, a request that asks the store once is noticeably slower. */
const SLOW_MS = 25;
const SKEW_MS = 2000;

/** The median of the times that `call` takes, in milliseconds. */
async function medianMs(call: () => Promise<void>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < PINGS; i++) {
    const before = performance.now();
    await call();
    times.push(performance.now() - before);
  }
  return times.sort((a, b) => a - b)[Math.floor(PINGS / 2)] ?? 0;
}

/** How long a round trip takes. */
export async function checkPing(ping: () => Promise<void>, shown: string, findings: Findings): Promise<void> {
  const ms = await medianMs(ping);
  const what = `${shown} answers in ${ms.toFixed(1)} ms`;
  if (ms <= SLOW_MS) return findings.ok('reachable', what);
  findings.warning('reachable', what, {
    why: 'each request of a client waits for one such round trip',
    fix: 'run the pods in the same region and zone as the backend'
  });
}

/**
 * Compares the clock of the backend with that of this machine.
 * @param ask - the backend's time, in epoch milliseconds
 */
export async function checkClock(ask: () => Promise<number>, server: string, findings: Findings): Promise<void> {
  const before = Date.now();
  // If the user may not ask, the check of rights says so.
  const theirs = await ask().catch(() => undefined);
  if (theirs === undefined) return;
  const after = Date.now();
  const difference = Math.max(0, Math.abs(theirs - (before + after) / 2) - (after - before) / 2);
  if (difference < SKEW_MS) {
    return findings.ok('clock', `the clocks differ by less than ${Math.ceil((difference + 1) / 1000)} s`);
  }
  findings.warning(
    'clock',
    `the clocks of this machine and of ${server} differ by ${(difference / 1000).toFixed(1)} s`,
    {
      why: `sessions expire by the clock of ${server}; ages and the time of the last activity are wrong by this much`,
      fix: 'on each machine: timedatectl set-ntp true, then chronyc tracking'
    }
  );
}
