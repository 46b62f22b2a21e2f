/*
 * The timers and clocks of the whole package, saved when it is loaded. Every file of src imports them from here under
 * the names of the globals, for two reasons:
 * - an application's tests may fake the globals (`jest.useFakeTimers()`), and requests must still be answered;
 * - a simulation can replace them all at once, with `replaceTimers`.
 */

/** The timers and clocks that `replaceTimers` can replace. */
export interface Timers {
  setTimeout: typeof globalThis.setTimeout;
  clearTimeout: typeof globalThis.clearTimeout;
  setInterval: typeof globalThis.setInterval;
  clearInterval: typeof globalThis.clearInterval;
  setImmediate: (callback: () => void) => unknown;
  /** The wall clock. */
  Date: DateConstructor;
  /** The monotonic clock, in milliseconds. */
  performance: { now(): number };
}

const loaded: Timers = {
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  // Some runtimes do not have it.
  setImmediate: globalThis.setImmediate ?? later(globalThis.setTimeout),
  Date: globalThis.Date,
  performance: { now: globalThis.performance.now.bind(globalThis.performance) }
};

// Bindings, not properties of one object: browsers and workerd refuse `timers.setTimeout()` as a method call.
export let { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, Date, performance } = loaded;

/**
 * Replaces the given timers and clocks of the package. For simulations and tests.
 * @returns a function that restores the previous ones
 */
export function replaceTimers(replacements: Partial<Timers>): () => void {
  const before: Timers = { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, Date, performance };
  assign({ ...before, ...replacements });
  return () => assign(before);
}

function assign(timers: Timers): void {
  ({ setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, Date, performance } = timers);
}

function later(setTimeout: Timers['setTimeout']): Timers['setImmediate'] {
  return callback => setTimeout(callback, 0);
}
