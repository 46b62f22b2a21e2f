import { setTimeout as delay } from 'node:timers/promises';
import type { SessionStore } from '../sessionStore.js';
import { type ContractOptions, runContract } from './contract.js';
import {
  creatingCases,
  expiryCases,
  fiveMethodCases,
  listingCases,
  patchingCases,
  replacingCases,
  SHORT_TTL_SECONDS,
  touchingCases
} from './sessionStoreCases.js';
import { equal } from './assert.js';

/** The methods beyond the required five that this contract is about. */
export type OptionalSessionMethod = 'touchSession' | 'patchSession' | 'listSessionIds';

const OPTIONAL_METHODS: readonly OptionalSessionMethod[] = ['touchSession', 'patchSession', 'listSessionIds'];

/** The store as two pods have it: two instances over one backend, or one object where the backend lives in an object. */
export interface TwoSessionStores {
  first: SessionStore;
  second: SessionStore;
  /** Lets so much time pass for the backend: really, or on its clock. @default waits */
  elapse?: (ms: number) => Promise<void>;
  /** Closes what was opened for the case. */
  close?: () => Promise<void>;
}

export interface SessionStoreContractOptions extends ContractOptions<SessionStoreCase> {
  /** Called once for each case. What other cases have stored may be there. */
  makeTwo: (options: { ttlSeconds: number }) => Promise<TwoSessionStores>;
  /** What the store has beyond the five required methods: all of these, and no other of this list. @default none */
  optionalMethods?: readonly OptionalSessionMethod[];
}

/** An hour: nothing expires while a case runs. */
const LONG_TTL_SECONDS = 3600;

/** The title of a case. */
export type SessionStoreCase =
  | keyof typeof fiveMethodCases
  | keyof typeof replacingCases
  | keyof typeof creatingCases
  | keyof typeof touchingCases
  | keyof typeof patchingCases
  | keyof typeof listingCases
  | keyof typeof expiryCases
  | keyof typeof methodCases;

/**
 * What every session store does, as sentences about two instances over one backend. A store with the five required
 * methods alone is asked for what they promise; `optionalMethods` adds what the others do.
 *
 * Takes about five seconds, most of them spent waiting for sessions that live for one.
 */
export function sessionStoreContract(options: SessionStoreContractOptions): void {
  const { makeTwo, optionalMethods = [] } = options;
  const offers = (method: OptionalSessionMethod) => optionalMethods.includes(method);
  const make = async (ttlSeconds: number) => ({ elapse: delay, optionalMethods, ...(await makeTwo({ ttlSeconds })) });
  const longLived = () => make(LONG_TTL_SECONDS);
  runContract('session stores', options, [
    { cases: methodCases, make: longLived },
    { cases: fiveMethodCases, make: longLived },
    { cases: replacingCases, make: longLived, applies: !offers('patchSession') },
    { cases: creatingCases, make: longLived, applies: offers('patchSession') },
    { cases: touchingCases, make: longLived, applies: offers('touchSession') },
    { cases: patchingCases, make: longLived, applies: offers('patchSession') },
    { cases: listingCases, make: longLived, applies: offers('listSessionIds') },
    { cases: expiryCases, make: () => make(SHORT_TTL_SECONDS) }
  ]);
}

const methodCases = {
  async 'has the optional methods that it is said to have, and no others'({ first, second, optionalMethods }) {
    for (const store of [first, second]) {
      const present = OPTIONAL_METHODS.filter(method => typeof store[method] === 'function');
      equal(
        present,
        OPTIONAL_METHODS.filter(method => optionalMethods.includes(method)),
        'the optional methods'
      );
    }
  }
} satisfies Record<
  string,
  (stores: TwoSessionStores & { optionalMethods: readonly OptionalSessionMethod[] }) => Promise<void>
>;
