import { replaceTimers } from '../../src/timers.js';

/**
 * Gives the package the global timers and clocks as they are now: fakes and spies of a test included.
 * @returns a function that puts back what the package had before
 */
export function useGlobalTimers(): () => void {
  const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, Date, performance } = globalThis;
  return replaceTimers({ setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, Date, performance });
}
