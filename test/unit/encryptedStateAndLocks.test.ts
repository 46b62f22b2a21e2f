import { randomBytes } from 'node:crypto';
import { encryptSessionStore, InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { lockContract } from '../../src/testing/lockContract.js';
import { principalContract } from '../../src/testing/principalContract.js';
import { sessionStateContract } from '../../src/testing/sessionStateContract.js';
import type { MakeStorePair } from '../../src/testing/storePair.js';

const [oldKey, newKey] = [randomBytes(32), randomBytes(32)];

/** Two pods in the middle of a rotation. */
const makePair: MakeStorePair = async ({ ttlSeconds }) => {
  let ahead = 0;
  const store = new InMemorySessionStore({ ttlSeconds, now: () => Date.now() + ahead });
  return {
    first: encryptSessionStore(store, { keys: [oldKey, newKey] }),
    second: encryptSessionStore(store, { keys: [newKey, oldKey] }),
    elapse: async ms => void (ahead += ms),
    close: async () => {}
  };
};

lockContract({ describe, it }, 'InMemorySessionStore, encrypted', makePair);
sessionStateContract({ describe, it }, 'InMemorySessionStore, encrypted', makePair);
principalContract({ describe, it }, 'InMemorySessionStore, encrypted', makePair);
