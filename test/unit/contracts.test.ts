import { InMemoryEventStore, InMemorySessionBus, type SessionData } from 'mcp-sdk-anypod/server';
import { eventStoreContract, sessionBusContract, sessionStoreContract } from 'mcp-sdk-anypod/testing';
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

const keepsForever = 'lets a session expire, unless an activity starts its time to live anew';

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
  ['deletes nothing', Careless, ['forgets a deleted session on both sides']],
  [
    'changes metadata',
    Lossy,
    ['gives every field back as it was stored', 'keeps whatever JSON it is given as metadata']
  ],
  ['brings back what was deleted', Forgetful, ['brings nothing deleted back by an activity that comes late']]
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
  const closed = 'gives every field back as it was stored';
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
  const title = 'brings a message to the listeners of every instance, its own included';
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
      optionalMethods: ['getStreamIdForEventId', 'latestEventId', 'storeLastEvent', 'deleteStreams'],
      makeTwo: async limits => {
        const store = new Repeating(limits);
        return { first: store, second: store };
      }
    })
  );
  const title = 'replays on one side what was stored on the other: what came after an event, in order';
  expect(await failedOf([title])).toEqual([title]);
});
