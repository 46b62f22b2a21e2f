import { optionalMethodsCase, runContract } from './contract.js';
import {
  creatingCases,
  expiryCases,
  fiveMethodCases,
  refreshingCases,
  replacingCases,
  touchingCases
} from './sessionStoreCases.js';
import { patchingCases } from './sessionPatchCases.js';
import { listingCases } from './sessionListingCases.js';
import { ownerCases } from './sessionOwnerCases.js';
import { pairs, type StoreContractOptions, SHORT_TTL_SECONDS } from './storePair.js';

/** The optional methods that this contract tests. */
export type OptionalSessionMethod =
  'touchSession' | 'refreshSessions' | 'getSessionOwner' | 'patchSession' | 'listSessionIds';

const OPTIONAL_METHODS: readonly OptionalSessionMethod[] = [
  'touchSession',
  'refreshSessions',
  'getSessionOwner',
  'patchSession',
  'listSessionIds'
];
const methodCases = optionalMethodsCase(OPTIONAL_METHODS);

/** The options of {@link sessionStoreContract}. */
export interface SessionStoreContractOptions extends StoreContractOptions<SessionStoreCase> {
  /** The optional methods that the store has: exactly these. @default none */
  optionalMethods?: readonly OptionalSessionMethod[];
}

/** The title of a case. */
export type SessionStoreCase =
  | keyof typeof fiveMethodCases
  | keyof typeof replacingCases
  | keyof typeof creatingCases
  | keyof typeof touchingCases
  | keyof typeof refreshingCases
  | keyof typeof ownerCases
  | keyof typeof patchingCases
  | keyof typeof listingCases
  | keyof typeof expiryCases
  | keyof typeof methodCases;

/**
 * Tests a session store. Each case uses two instances over one backend. A store with only the five required methods is
 * tested for these; `optionalMethods` adds cases for the others.
 *
 * Takes about five seconds, mostly to wait for sessions that live for one second.
 */
export function sessionStoreContract(options: SessionStoreContractOptions): void {
  const { optionalMethods = [] } = options;
  const offers = (method: OptionalSessionMethod) => optionalMethods.includes(method);
  const make = (ttlSeconds?: number) => async () => ({ optionalMethods, ...(await pairs(options, ttlSeconds)()) });
  const longLived = make();
  runContract('session stores', options, [
    { cases: methodCases, make: longLived },
    { cases: fiveMethodCases, make: longLived },
    { cases: replacingCases, make: longLived, applies: !offers('patchSession') },
    { cases: creatingCases, make: longLived, applies: offers('patchSession') },
    { cases: touchingCases, make: longLived, applies: offers('touchSession') },
    { cases: refreshingCases, make: longLived, applies: offers('refreshSessions') },
    { cases: ownerCases, make: longLived, applies: offers('getSessionOwner') },
    { cases: patchingCases, make: longLived, applies: offers('patchSession') },
    { cases: listingCases, make: longLived, applies: offers('listSessionIds') },
    { cases: expiryCases, make: make(SHORT_TTL_SECONDS) }
  ]);
}
