import { equal } from './assert.js';

/** The two functions of a test runner that the contracts need, from jest, vitest, node:test or mocha. */
export interface TestRunner {
  /** Groups cases under a title. */
  describe: (name: string, body: () => void) => unknown;
  /** Registers one case. */
  it: (name: string, body: () => Promise<void>) => unknown;
}

/** The subject of a case. It is made for each case and closed after it. */
export interface Closable {
  /** Lets this time pass for the backend. */
  elapse?: (ms: number) => Promise<void>;
  /** Closes what was opened for the case. */
  close?: () => Promise<void>;
}

/** The options that all contracts share. */
export interface ContractOptions<Title extends string> extends TestRunner {
  /** The name of the backend under test: the title of the group. */
  name: string;
  /**
   * The cases that this backend cannot pass, each with the reason in words. They must fail: remove a case from the list
   * when it passes.
   */
  gaps?: Partial<Record<Title, string>>;
}

/** The title of a case is a sentence about behaviour. */
export type Cases<Backend> = Record<string, (backend: Backend) => Promise<void>>;

/** Cases with the same subject. */
export interface CaseGroup<Backend extends Closable> {
  cases: Cases<Backend>;
  make: () => Promise<Backend>;
  /** Whether they apply to the backend. @default true */
  applies?: boolean;
}

/** A case: the object has exactly the optional methods that the contract's options name. */
export function optionalMethodsCase<M extends string>(methods: readonly M[]) {
  return {
    async 'the object has exactly the optional methods that the options name'({
      first,
      second,
      optionalMethods
    }: {
      first: object;
      second: object;
      optionalMethods: readonly M[];
    }): Promise<void> {
      for (const store of [first, second]) {
        const present = methods.filter(method => typeof (store as Record<string, unknown>)[method] === 'function');
        equal(
          present,
          methods.filter(method => optionalMethods.includes(method)),
          'the optional methods'
        );
      }
    }
  };
}

/**
 * Registers the cases with the runner. Every contract of this package uses it.
 * @throws Error if a gap does not name an applicable case: the title may have changed
 */
export function runContract<Backend extends Closable>(
  title: string,
  { describe, it, name, gaps = {} }: ContractOptions<string>,
  groups: readonly CaseGroup<Backend>[]
): void {
  const applicable = groups.filter(({ applies = true }) => applies);
  const titles = new Set(applicable.flatMap(({ cases }) => Object.keys(cases)));
  const unknown = Object.keys(gaps).filter(gap => !titles.has(gap));
  if (unknown.length > 0) throw new Error(`The contract of ${title} has no such case: ${unknown.join('; ')}`);

  describe(`${name}: the contract of ${title}`, () => {
    for (const { cases, make } of applicable) {
      for (const [sentence, run] of Object.entries(cases)) {
        const reason = gaps[sentence];
        // Without a parameter: some runners treat the first or the second parameter as a callback to wait for.
        if (reason === undefined) it(sentence, () => runCase(make, run));
        else it(`gap, ${reason}: ${sentence}`, () => mustFail(runCase(make, run)));
      }
    }
  });
}

/** A step that takes so much longer than it waits says nothing about the backend: a lease or a session may have ended. */
const SLOW_STEP_MS = 200;
const MAX_RUNS = 4;

/**
 * Runs a case. A case that waits and fails runs again if the machine was too slow for it: then its steps came too late. A case
 * that never waits runs once.
 */
async function runCase<Backend extends Closable>(
  make: () => Promise<Backend>,
  run: (backend: Backend) => Promise<void>
): Promise<void> {
  for (let runs = 1; ; runs++) {
    const backend = await make();
    const steps = new Steps(backend);
    try {
      return await run(backend);
    } catch (error) {
      if (runs === MAX_RUNS || !steps.end()) throw error;
    } finally {
      await backend.close?.();
    }
  }
}

/** Measures the steps of a case: each begins with a wait, and ends with the next one. */
class Steps {
  #startedAt = performance.now();
  /** How long this step waits; undefined before the first wait. */
  #waitMs: number | undefined;
  #wasSlow = false;

  constructor(backend: Closable) {
    const { elapse } = backend;
    if (!elapse) return;
    backend.elapse = ms => {
      this.#waitMs ??= 0;
      this.end();
      this.#waitMs = ms;
      return elapse.call(backend, ms);
    };
  }

  /** @returns whether this step, or one before it, was slow */
  end(): boolean {
    if (this.#waitMs === undefined) return false;
    const now = performance.now();
    this.#wasSlow ||= now - this.#startedAt - this.#waitMs > SLOW_STEP_MS;
    this.#startedAt = now;
    return this.#wasSlow;
  }
}

async function mustFail(run: Promise<void>): Promise<void> {
  const failed = await run.then(
    () => false,
    () => true
  );
  if (!failed) throw new Error('This case passes now: remove it from the gaps');
}
