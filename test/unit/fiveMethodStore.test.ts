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
    'lets a session expire, unless an activity starts its time to live anew': 'it keeps sessions until they are deleted'
  }
});
