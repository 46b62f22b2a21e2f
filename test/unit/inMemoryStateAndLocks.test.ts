import { InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { lockContract } from '../../src/testing/lockContract.js';
import { principalContract } from '../../src/testing/principalContract.js';
import { sessionStateContract } from '../../src/testing/sessionStateContract.js';
import type { MakeStorePair } from '../../src/testing/storePair.js';

const makePair: MakeStorePair = async ({ ttlSeconds }) => {
  let ahead = 0;
  const store = new InMemorySessionStore({ ttlSeconds, now: () => Date.now() + ahead });
  return { first: store, second: store, elapse: async ms => void (ahead += ms), close: async () => {} };
};

lockContract({ describe, it }, 'InMemorySessionStore', makePair);
sessionStateContract({ describe, it }, 'InMemorySessionStore', makePair);
principalContract({ describe, it }, 'InMemorySessionStore', makePair);
