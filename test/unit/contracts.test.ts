import { setTimeout as delay } from 'node:timers/promises';
import { InMemoryEventStore, InMemorySessionBus, InMemorySessionStore, type SessionData } from 'mcp-sdk-anypod/server';
import {
  eventStoreContract,
  lockContract,
  sessionBusContract,
  sessionStoreContract,
  taskMessageQueueContract,
  taskStoreContract
} from 'mcp-sdk-anypod/testing';
import { InMemoryTaskMessageQueue, InMemoryTaskStore } from 'mcp-sdk-upstream/experimental/tasks/stores/in-memory.js';
import { MapSessionStore } from '../support/stores/mapSessionStore.js';

/** A runner that keeps the cases, for a look at which of them fail. */
function collect(register: (runner: { describe: typeof describe; it: typeof it }) => void) {
  const cases: [string, () => Promise<void>][] = [];
  const runner = {
    describe: (_: string, body: () => void) => body(),
    it: (title: string, body: () => Promise<void>) => void cases.push([title, body])
  };
  register(runner as never);
  /** Of these titles, or of all: a case may take its time before it fails. */
  return async (titles?: readonly string[]) => {
    const failed: string[] = [];
    for (const [title, run] of cases.filter(([title]) => titles?.includes(title) ?? true))
      await run().catch(() => failed.push(title));
    return failed;
  };
}

const keepsForever = 'a session expires after its time to live, which each activity restarts';

class Careless extends MapSessionStore {
  override async deleteSession(): Promise<void> {}
}

class Lossy extends MapSessionStore {
  override async storeSession(sessionId: string, data: SessionData): Promise<void> {
    const { metadata, ...fields } = data;
    await super.storeSession(sessionId, {
      ...fields,
      metadata: metadata && { ...metadata, constructor: 1 }
    });
  }
}

class Forgetful extends MapSessionStore {
  override async updateSessionActivity(sessionId: string): Promise<void> {
    await super.storeSession(sessionId, { sessionId, initialized: false, createdAt: 0, lastActivity: Date.now() });
  }
}

test.each([
  ['deletes nothing', Careless, ['a deleted session is missing on both instances']],
  ['changes metadata', Lossy, ['every field is returned as it was stored', 'any JSON is stored unchanged as metadata']],
  ['brings back what was deleted', Forgetful, ['a late activity does not restore a deleted session']]
])('the contract of session stores catches a store that %s', async (_, Store, caught) => {
  const failedOf = collect(runner =>
    sessionStoreContract({
      ...runner,
      name: 'x',
      makeTwo: async () => {
        const store = new Store();
        return { first: store, second: store, elapse: async () => {} };
      }
    })
  );
  expect(await failedOf()).toEqual(expect.arrayContaining([...caught, keepsForever]));
});

test('a declared gap is not a failure until the case passes; a gap that names no case is refused', async () => {
  const withGaps = (gaps: Record<string, string>) =>
    collect(runner =>
      sessionStoreContract({
        ...runner,
        name: 'x',
        gaps,
        makeTwo: async () => {
          const store = new MapSessionStore();
          return { first: store, second: store, elapse: async () => {} };
        }
      })
    );
  expect(await withGaps({ [keepsForever]: 'it never expires' })()).toEqual([]);
  const closed = 'every field is returned as it was stored';
  expect(await withGaps({ [keepsForever]: 'it never expires', [closed]: 'no more' })()).toEqual([
    `gap, no more: ${closed}`
  ]);
  expect(() => withGaps({ 'no such sentence': 'x' })).toThrow('no such case');
});

test('the bus contract catches a bus that delivers only to itself', async () => {
  const failedOf = collect(runner =>
    sessionBusContract({
      ...runner,
      name: 'x',
      makeTwo: async () => ({ first: new InMemorySessionBus(), second: new InMemorySessionBus() })
    })
  );
  const title = 'a message reaches the listeners of every instance, including the one that publishes it';
  expect(await failedOf([title])).toEqual([title]);
});

test('the event store contract catches a store that replays the event of the cursor again', async () => {
  class Repeating extends InMemoryEventStore {
    override async replayEventsAfter(...[lastEventId, { send }]: Parameters<InMemoryEventStore['replayEventsAfter']>) {
      return super.replayEventsAfter(lastEventId, {
        send: async (id, message) => {
          await send(id, message);
          await send(id, message);
        }
      });
    }
  }
  const failedOf = collect(runner =>
    eventStoreContract({
      ...runner,
      name: 'x',
      optionalMethods: ['getStreamIdForEventId', 'latestEventId', 'storeLastEvent', 'startEventId', 'deleteStreams'],
      makeTwo: async limits => {
        const store = new Repeating(limits);
        return { first: store, second: store };
      }
    })
  );
  const title = 'events that one instance has stored are replayed by the other, in order';
  expect(await failedOf([title])).toEqual([title]);
});

test('the task store contract catches two pods without a shared store, and results that change', async () => {
  class Careless extends InMemoryTaskStore {
    override async getTaskResult(taskId: string, sessionId?: string) {
      return { ...(await super.getTaskResult(taskId, sessionId)), extra: 1 };
    }
  }
  const failedOf = (make: () => InMemoryTaskStore, isShared: boolean) =>
    collect(runner =>
      taskStoreContract({
        ...runner,
        name: 'x',
        makeTwo: async () => {
          const first = make();
          const second = isShared ? first : make();
          return { first, second, close: async () => (first.cleanup(), second.cleanup()) };
        }
      })
    );
  const titles = [
    'a new task is working, with its own id and the requested times',
    'a result is returned unchanged',
    'a task that has ended cannot be changed'
  ];
  expect(await failedOf(() => new InMemoryTaskStore(), true)(titles)).toEqual([]);
  expect(await failedOf(() => new InMemoryTaskStore(), false)(titles)).toEqual(titles);
  expect(await failedOf(() => new Careless(), true)(titles)).toEqual(['a result is returned unchanged']);
});

test('the contract of task message queues catches a queue that loses the order', async () => {
  class Stack extends InMemoryTaskMessageQueue {
    override async dequeueAll(taskId: string, sessionId?: string) {
      return (await super.dequeueAll(taskId, sessionId)).reverse();
    }
  }
  const failedOf = collect(runner =>
    taskMessageQueueContract({
      ...runner,
      name: 'x',
      makeTwo: async () => {
        const queue = new Stack();
        return { first: queue, second: queue };
      }
    })
  );
  const titles = [
    'dequeueAll returns all messages in order and leaves an empty queue',
    'a queue returns its messages unchanged, in the order in which they were added'
  ];
  expect(await failedOf(titles)).toEqual(titles.slice(0, 1));
});

test.each([
  ['runs again if a step took so long that a lease ended', 900, 2],
  ['runs once if the machine was fast enough', 0, 1]
])('a case of a contract %s', async (_, extraMs, runs) => {
  let made = 0;
  const failedOf = collect(runner =>
    lockContract({
      ...runner,
      name: 'x',
      async makeTwo() {
        const store = new InMemorySessionStore();
        const isFirstRun = made++ === 0;
        return { first: store, second: store, elapse: ms => delay(ms + (isFirstRun ? extraMs : 0)) };
      }
    })
  );
  expect(await failedOf(['a holder that renews its lock keeps it after the first lease'])).toEqual([]);
  expect(made).toBe(runs);
});

test('a case of a contract that never waits runs once, however slow the machine is', async () => {
  let made = 0;
  const failedOf = collect(runner =>
    lockContract({
      ...runner,
      name: 'x',
      async makeTwo() {
        made++;
        const store = new InMemorySessionStore();
        store.acquireLock = async () => {
          await delay(300);
          return false;
        };
        return { first: store, second: store };
      }
    })
  );
  const title = 'a lock has one holder at a time, also for a session that does not exist';
  expect(await failedOf([title])).toEqual([title]);
  expect(made).toBe(1);
});
