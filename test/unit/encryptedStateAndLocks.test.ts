import { randomBytes } from 'node:crypto';
import { encryptSessionStore, InMemorySessionStore } from 'mcp-sdk-anypod/server';
import {
  lockContract,
  principalContract,
  sessionStateContract,
  type StoreContractOptions
} from 'mcp-sdk-anypod/testing';

const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];

/** Two pods in the middle of a rotation. */
const makeTwo: StoreContractOptions['makeTwo'] = async ({ ttlSeconds }) => {
  let ahead = 0;
  const store = new InMemorySessionStore({ ttlSeconds, now: () => Date.now() + ahead });
  return {
    first: encryptSessionStore(store, { keys: [oldKey, newKey] }),
    second: encryptSessionStore(store, { keys: [newKey, oldKey] }),
    elapse: async ms => void (ahead += ms),
    close: async () => {}
  };
};

lockContract({ describe, it, name: 'InMemorySessionStore, encrypted', makeTwo });
sessionStateContract({ describe, it, name: 'InMemorySessionStore, encrypted', makeTwo });
principalContract({ describe, it, name: 'InMemorySessionStore, encrypted', makeTwo });
