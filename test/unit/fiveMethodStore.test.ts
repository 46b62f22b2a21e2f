import { MapSessionStore } from '../support/mapSessionStore.js';
import { sessionStoreContract } from '../support/sessionStoreContract.js';

const noTouch = 'it has no touchSession';
const noPatch = 'it has no patchSession';
const replaces = 'its storeSession replaces';
const keeps = 'it keeps sessions until they are deleted';

sessionStoreContract(
  'a store with the five methods alone',
  async () => {
    const records = new Map<string, string>();
    return {
      first: new MapSessionStore(records),
      second: new MapSessionStore(records),
      elapse: async () => {},
      close: async () => {}
    };
  },
  {
    gaps: {
      'touches and patches only where something is': `${noTouch}, ${noPatch}`,
      'creates only where nothing is': replaces,
      'lets one of two creations win': replaces,
      'brings nothing deleted back by any write that races the deletion': replaces,
      'gives the known record back while it is unchanged, and a new one after a patch elsewhere': noTouch,
      'gives the known record back also when it was read with getSession': noTouch,
      'changes what a patch names and leaves the rest': noPatch,
      'loses none of the changes that two instances make at once': noPatch,
      'lets a session expire, unless an activity starts its time to live anew': keeps
    }
  }
);
