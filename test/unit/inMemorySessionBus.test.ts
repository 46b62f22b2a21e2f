import { InMemorySessionBus } from 'mcp-sdk-anypod/server';
import { sessionBusContract } from 'mcp-sdk-anypod/testing';

sessionBusContract({
  describe,
  it,
  name: 'InMemorySessionBus',
  makeTwo: async () => {
    const bus = new InMemorySessionBus();
    return { first: bus, second: bus };
  }
});
