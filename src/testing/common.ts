/* The contracts of both packages. Version 2 of the SDK has no tasks: the contracts about them are in index.ts. */
export type { TestRunner } from './contract.js';
export { sessionStoreContract } from './sessionStoreContract.js';
export type { OptionalSessionMethod, SessionStoreCase, SessionStoreContractOptions } from './sessionStoreContract.js';
export { sessionBusContract } from './sessionBusContract.js';
export type { SessionBusCase, SessionBusContractOptions, TwoSessionBuses } from './sessionBusContract.js';
export { eventStoreContract } from './eventStoreContract.js';
export type { EventStoreCase, EventStoreContractOptions, OptionalEventMethod } from './eventStoreContract.js';
export { lockContract } from './lockContract.js';
export { principalContract } from './principalContract.js';
export { sessionStateContract } from './sessionStateContract.js';
export type { StoreContractOptions, TwoEventStores, TwoSessionStores } from './storePair.js';
