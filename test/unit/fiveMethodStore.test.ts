import { sessionStoreContract } from 'mcp-sdk-anypod/testing';
import { MapSessionStore } from '../support/stores/mapSessionStore.js';

sessionStoreContract({
  describe,
  it,
  name: 'a store with the five methods alone',
  makeTwo: async () => {
    const records = new Map<string, string>();
    return { first: new MapSessionStore(records), second: new MapSessionStore(records), elapse: async () => {} };
  },
  gaps: {
    'a session expires after its time to live, which each activity restarts': 'it keeps sessions until they are deleted'
  }
});
