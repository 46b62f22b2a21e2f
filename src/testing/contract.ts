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

async function runCase<Backend extends Closable>(
  make: () => Promise<Backend>,
  run: (backend: Backend) => Promise<void>
): Promise<void> {
  const backend = await make();
  try {
    await run(backend);
  } finally {
    await backend.close?.();
  }
}

async function mustFail(run: Promise<void>): Promise<void> {
  const failed = await run.then(
    () => false,
    () => true
  );
  if (!failed) throw new Error('This case passes now: remove it from the gaps');
}
