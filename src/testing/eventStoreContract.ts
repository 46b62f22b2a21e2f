import { setTimeout as delay } from 'node:timers/promises';
import { type ContractOptions, optionalMethodsCase, runContract } from './contract.js';
import { boundedCases, eventCases, expiringCases } from './eventStoreCases.js';
import {
  boundedStartCases,
  completeCases,
  deleteCases,
  latestCases,
  onlyCases,
  startCases,
  streamIdCases
} from './eventStoreMethodCases.js';
import type { TwoEventStores } from './storePair.js';

/** The optional methods of an event store. */
export type OptionalEventMethod =
  'getStreamIdForEventId' | 'latestEventId' | 'storeLastEvent' | 'storeOnlyEvent' | 'startEventId' | 'deleteStreams';

const OPTIONAL_METHODS: readonly OptionalEventMethod[] = [
  'getStreamIdForEventId',
  'latestEventId',
  'storeLastEvent',
  'storeOnlyEvent',
  'startEventId',
  'deleteStreams'
];
const methodCases = optionalMethodsCase(OPTIONAL_METHODS);

/** The options of {@link eventStoreContract}. */
export interface EventStoreContractOptions extends ContractOptions<EventStoreCase> {
  /**
   * Called once for each case, with the limits for the store. A store without limits declares the cases about them as
   * gaps.
   */
  makeTwo: (limits: { maxEventsPerStream: number; ttlSeconds: number }) => Promise<TwoEventStores>;
  /**
   * The optional methods that the store has, besides `storeEvent` and `replayEventsAfter`: exactly these. @default none
   */
  optionalMethods?: readonly OptionalEventMethod[];
}

/** The title of a case. */
export type EventStoreCase =
  | keyof typeof eventCases
  | keyof typeof streamIdCases
  | keyof typeof latestCases
  | keyof typeof completeCases
  | keyof typeof onlyCases
  | keyof typeof startCases
  | keyof typeof boundedStartCases
  | keyof typeof deleteCases
  | keyof typeof boundedCases
  | keyof typeof expiringCases
  | keyof typeof methodCases;

const ROOMY = { maxEventsPerStream: 1000, ttlSeconds: 3600 };

/** Tests an event store that pods share. Each case uses two instances over one backend. */
export function eventStoreContract(options: EventStoreContractOptions): void {
  const { makeTwo, optionalMethods = [] } = options;
  const offers = (method: OptionalEventMethod) => optionalMethods.includes(method);
  const make = (limits: typeof ROOMY) => async () => ({ elapse: delay, optionalMethods, ...(await makeTwo(limits)) });
  runContract('event stores', options, [
    { cases: methodCases, make: make(ROOMY) },
    { cases: eventCases, make: make(ROOMY) },
    { cases: streamIdCases, make: make(ROOMY), applies: offers('getStreamIdForEventId') },
    { cases: latestCases, make: make(ROOMY), applies: offers('latestEventId') },
    { cases: completeCases, make: make(ROOMY), applies: offers('storeLastEvent') },
    { cases: onlyCases, make: make(ROOMY), applies: offers('storeOnlyEvent') },
    { cases: startCases, make: make(ROOMY), applies: offers('startEventId') },
    {
      cases: boundedStartCases,
      make: make({ ...ROOMY, maxEventsPerStream: 10 }),
      applies: offers('startEventId')
    },
    { cases: deleteCases, make: make(ROOMY), applies: offers('deleteStreams') },
    { cases: boundedCases, make: make({ ...ROOMY, maxEventsPerStream: 10 }) },
    { cases: expiringCases, make: make({ ...ROOMY, ttlSeconds: 1 }) }
  ]);
}
