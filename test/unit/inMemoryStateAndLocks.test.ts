import { InMemorySessionStore } from 'mcp-sdk-anypod/server';
import {
  lockContract,
  principalContract,
  sessionStateContract,
  type StoreContractOptions
} from 'mcp-sdk-anypod/testing';

const makeTwo: StoreContractOptions['makeTwo'] = async ({ ttlSeconds }) => {
  let ahead = 0;
  const store = new InMemorySessionStore({ ttlSeconds, now: () => Date.now() + ahead });
  return { first: store, second: store, elapse: async ms => void (ahead += ms), close: async () => {} };
};

lockContract({ describe, it, name: 'InMemorySessionStore', makeTwo });
sessionStateContract({ describe, it, name: 'InMemorySessionStore', makeTwo });
principalContract({ describe, it, name: 'InMemorySessionStore', makeTwo });
