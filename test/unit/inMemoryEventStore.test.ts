import { setTimeout as delay } from 'node:timers/promises';
import { InMemoryEventStore } from 'mcp-sdk-anypod/server';
import { eventStoreContract } from 'mcp-sdk-anypod/testing';

eventStoreContract({
  describe,
  it,
  name: 'InMemoryEventStore',
  optionalMethods: ['getStreamIdForEventId', 'latestEventId', 'storeLastEvent', 'startEventId', 'deleteStreams'],
  makeTwo: async limits => {
    const store = new InMemoryEventStore(limits);
    return { first: store, second: store, elapse: delay };
  }
});
