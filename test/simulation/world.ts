import { AsyncLocalStorage } from 'node:async_hooks';
import { createClock, type Clock } from '@sinonjs/fake-timers';
import { Random } from '../soak/random.js';

/** The epoch milliseconds at which every history begins. */
const EPOCH_MS = Date.UTC(2026, 0, 1);

const real = { setImmediate, setTimeout, clearTimeout, setInterval, clearInterval, clearImmediate };

/** One simulated process: its timers, and everything that is delivered to it, stop when it is killed or paused. */
export class SimProcess {
  readonly name: string;
  /** How far the clock on its wall is ahead. The monotonic clock of every process is right. */
  skewMs = 0;
  #dead = false;
  #paused: (() => void)[] | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get dead(): boolean {
    return this.#dead;
  }

  get paused(): boolean {
    return this.#paused !== undefined;
  }

  kill(): void {
    this.#dead = true;
    this.#paused = undefined;
  }

  pause(): void {
    if (!this.#dead) this.#paused ??= [];
  }

  /** What was due meanwhile runs now, in order. */
  resume(): void {
    const due = this.#paused ?? [];
    this.#paused = undefined;
    for (const work of due) this.enter(work);
  }

  /** Runs work as this process: at once, after a pause, or never if the process is dead. */
  enter(work: () => void): void {
    if (this.#dead) return;
    if (this.#paused) this.#paused.push(work);
    else processes.run(this, work);
  }
}

const processes = new AsyncLocalStorage<SimProcess | undefined>();

/** Everything that one history shares: the time, the choices, and the log of what happened. */
export class World {
  readonly clock: Clock = createClock(EPOCH_MS);
  readonly random: Random;
  /** For ids alone: a pod that draws one more must not change what happens. */
  readonly ids: Random;
  readonly log: string[] = [];
  /** The timers that processes have started and that are still to fire. */
  readonly #timers = new Map<unknown, SimProcess>();
  /** Written only if somebody wants to read it. */
  readonly verbose: boolean;

  readonly #seed: number;

  constructor(seed: number, verbose = false) {
    this.#seed = seed;
    this.random = new Random(seed);
    this.ids = new Random(seed ^ 0x1d5);
    this.verbose = verbose;
  }

  /** Choices of one part of the history: what other parts do does not change them, so a history can be shrunk. */
  fork(name: string): Random {
    let hash = this.#seed ^ 0x811c9dc5;
    for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
    return new Random(hash);
  }

  /** Milliseconds since the history began. */
  get now(): number {
    return this.clock.now - EPOCH_MS;
  }

  note(text: () => string): void {
    if (this.verbose) this.log.push(`${String(this.now).padStart(7)} ${text()}`);
  }

  /** Runs work outside of every process. */
  after(delayMs: number, work: () => void): void {
    this.clock.setTimeout(() => processes.run(undefined, work), delayMs);
  }

  /** How many timers the processes that are alive have running. */
  get timers(): number {
    return [...this.#timers.values()].filter(({ dead }) => !dead).length;
  }

  /** Starts a timer of the process that asks. */
  start(kind: 'setTimeout' | 'setInterval', work: () => void, delayMs: number): unknown {
    const owner = processes.getStore();
    if (!owner) return this.clock[kind](work, delayMs);
    const timer = this.clock[kind](() => {
      if (kind === 'setTimeout') this.#timers.delete(timer);
      owner.enter(work);
    }, delayMs);
    this.#timers.set(timer, owner);
    return timer;
  }

  stop(timer: never): void {
    this.#timers.delete(timer);
    this.clock.clearTimeout(timer);
  }

  /** Lets the time run until an instant, timer by timer; between two timers everything that can go on does. */
  async runUntil(instantMs: number): Promise<void> {
    let isOver = false;
    this.clock.setTimeout(() => (isOver = true), Math.max(0, instantMs - this.now));
    for (;;) {
      await settled();
      if (isOver) return;
      this.clock.next();
    }
  }
}

/**
 * Settles after every promise that can settle without a timer. Node runs all microtasks before a tick; the second tick
 * waits for what the first ones have started. A turn of the event loop would take longer than most turns of a history.
 */
async function settled(): Promise<void> {
  await tick();
  await tick();
}

function tick(): Promise<void> {
  return new Promise(resolve => process.nextTick(resolve));
}

let current: World | undefined;

/** A turn of the event loop. Node keeps what weak references refer to until then. */
export function eventLoopTurn(): Promise<void> {
  return new Promise(resolve => real.setImmediate(resolve));
}

/** From here on the process's clock, timers and random numbers are those of a world, or the real ones again. */
export function enterWorld(world: World | undefined): void {
  current = world;
}

type Work = (...args: unknown[]) => void;

/*
 * Installed once, when this module is loaded: before the modules under test, which may keep what they find.
 * Outside of a history everything is passed on to the real functions.
 */
const realNow = Date.now.bind(Date);
const realPerformanceNow = performance.now.bind(performance);
const realMathRandom = Math.random.bind(Math);
const realUuid = globalThis.crypto.randomUUID.bind(globalThis.crypto);

function starter(kind: 'setTimeout' | 'setInterval') {
  return (work: Work, ms = 0, ...args: unknown[]): unknown =>
    current ? current.start(kind, () => work(...args), ms) : real[kind](work, ms, ...args);
}

function stopper(kind: 'clearTimeout' | 'clearInterval' | 'clearImmediate') {
  return (timer: never): void => {
    if (isSimulated(timer)) current?.stop(timer);
    else (real[kind] as (timer: never) => void)(timer);
  };
}

Object.assign(globalThis, {
  setTimeout: starter('setTimeout'),
  setInterval: starter('setInterval'),
  setImmediate: (work: Work, ...args: unknown[]) =>
    current ? current.start('setTimeout', () => work(...args), 0) : real.setImmediate(work, ...args),
  clearTimeout: stopper('clearTimeout'),
  clearInterval: stopper('clearInterval'),
  clearImmediate: stopper('clearImmediate')
});
Date.now = () => (current ? current.clock.now + (processes.getStore()?.skewMs ?? 0) : realNow());
performance.now = () => (current ? current.now : realPerformanceNow());
Math.random = () => current?.random.next() ?? realMathRandom();
Object.defineProperty(globalThis.crypto, 'randomUUID', {
  configurable: true,
  value: () => (current ? uuid(current.ids) : realUuid())
});

/** Timers of the simulated clock have an id and no `_idleTimeout`. */
function isSimulated(timer: object | undefined): boolean {
  return timer !== undefined && timer !== null && typeof timer === 'object' && !('_idleTimeout' in timer);
}

function uuid(random: Random): string {
  const hex = Array.from({ length: 32 }, () => random.below(16).toString(16)).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
}
