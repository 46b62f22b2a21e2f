import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { InMemoryEventStore, InMemorySessionBus, InMemorySessionStore } from 'mcp-sdk-anypod';
import { Backends, Links } from '../simulation/services.js';
import { SimProcess, World } from '../simulation/world.js';
import { holdsBusModel } from '../support/models/busModel.js';
import { holdsLogModel } from '../support/models/logModel.js';
import { holdsStoreModel, TTL_SECONDS } from '../support/models/storeModel.js';

const RUNS = 150;

/** Pods of the simulation, with a network that works. */
function simulated(pods: number) {
  const world = new World(Number.parseInt(randomUUID().slice(0, 7), 16));
  const backends = new Backends(world, { ttlSeconds: TTL_SECONDS, fiveMethods: false, logKeeps: 1000 });
  const plan = { log: true, logMethods: 'all', leaseMs: 1000, version: 'current' } as const;
  const links = Array.from({ length: pods }, (_, index) => new Links(backends, new SimProcess(`p${index}`), plan));
  const settle = async <T>(call: Promise<T>): Promise<T> => {
    let isOver = false;
    const end = (): void => void (isOver = true);
    call.then(end, end);
    while (!isOver) {
      await world.runUntil(world.now + 1);
      // Simulated time needs no turn of the event loop, but real timers do.
      await turn();
    }
    return call;
  };
  return { world, backends, links, settle };
}

describe('the simulated services hold the model of all backends:', () => {
  test('the session store', async () => {
    await holdsStoreModel(() => {
      const { world, backends, links, settle } = simulated(2);
      const stores = links.map(({ store }) => ({
        ...store,
        getSessionOwner: backends.store.getSessionOwner.bind(backends.store)
      }));
      return {
        stores: [stores[0]!, stores[1]!],
        id: name => name,
        settle,
        elapse: ms => world.clock.setSystemTime(world.clock.now + ms)
      };
    }, RUNS);
  });

  test('the bus', async () => {
    await holdsBusModel(() => {
      const { links, settle } = simulated(3);
      return { buses: links.map(({ store }) => store.createBus!()), topic: name => name, settle };
    }, RUNS);
  });

  test('the event log', async () => {
    await holdsLogModel(() => {
      const { links, settle } = simulated(2);
      return { logs: [links[0]!.log, links[1]!.log], peculiarities: {}, sessionId: 's', settle };
    }, RUNS);
  });
});

describe('the stores in memory hold the model of all backends:', () => {
  test('the session store', async () => {
    await holdsStoreModel(() => {
      let now = 1;
      const store = new InMemorySessionStore({ ttlSeconds: TTL_SECONDS, now: () => now });
      return { stores: [store, store], id: name => name, elapse: ms => void (now += ms) };
    }, RUNS);
  });

  test('the bus', async () => {
    await holdsBusModel(() => {
      const bus = new InMemorySessionBus();
      return { buses: [bus, bus, bus], topic: name => name };
    }, RUNS);
  });

  test('the event store', async () => {
    await holdsLogModel(() => {
      const log = new InMemoryEventStore();
      const peculiarities = { repeatsIdsAfterDelete: true, deletesOpenStreams: true };
      return { logs: [log, log], peculiarities, sessionId: 's' };
    }, RUNS);
  });
});
