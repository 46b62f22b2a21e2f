import { randomUUID } from 'node:crypto';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import type { FollowableEventStore } from '../ports/eventStore.js';
import { equal, isTrue, rejects } from './assert.js';
import type { Cases } from './contract.js';
import { Fuzz, oddMetadata, oddTexts, oneMebibyte } from './samples.js';
import type { TwoEventStores } from './storePair.js';

type EventCases = Cases<Required<Pick<TwoEventStores, 'first' | 'second' | 'elapse'>>>;

/** An event without a message: a cursor to resume from. */
const PRIMING = {} as JSONRPCMessage;

export const eventCases = {
  async 'replays on one side what was stored on the other: what came after an event, in order'({ first, second }) {
    const streamId = streamIdOf();
    const ids = await storeAll(first, streamId, [1, 2, 3, 4, 5].map(note));
    for (const [index, id] of ids.entries()) {
      const { events, returned } = await replay(second, id);
      equal(returned, streamId, 'the stream of the event');
      equal(
        events,
        ids.slice(index + 1).map((eventId, i) => [eventId, note(index + 2 + i)]),
        `what followed ${index}`
      );
    }
  },

  async 'gives each event an id of its own that fits a header'({ first, second }) {
    const [a, b] = [streamIdOf(), streamIdOf()];
    const ids = [];
    for (let i = 0; i < 20; i++) ids.push(await (i % 2 ? first : second).storeEvent(i % 3 ? a : b, note(i)));
    equal(new Set(ids).size, ids.length, 'the number of different ids');
    for (const id of ids) isTrue(/^[\x21-\x7e]+$/.test(id), `the id is visible ASCII: ${JSON.stringify(id)}`);
  },

  async 'keeps streams apart, whatever their names'({ first, second }) {
    const run = randomUUID();
    const odd = ['', ':', '@', ':standalone', '@1', '@1-0', '{a}', '{}', '%', '*', '/..', '__proto__', "'", '"', '~'];
    const streams = [...new Set([...odd.flatMap(text => [run + text, text + run]), run.toUpperCase()])];
    const cursors = [];
    for (const streamId of streams) cursors.push(await first.storeEvent(streamId, PRIMING));
    for (const streamId of streams) await second.storeEvent(streamId, note(streamId));
    for (const [index, cursor] of cursors.entries()) {
      const { events, returned } = await replay(second, cursor);
      const streamId = streams[index] as string;
      equal(returned, streamId, 'the stream of the event');
      equal(
        events.map(([, message]) => message),
        [note(streamId)],
        `the messages of ${streamId}`
      );
    }
  },

  async 'resumes from an event without a message, and replays none'({ first, second }) {
    const streamId = streamIdOf();
    const [primed] = await storeAll(first, streamId, [PRIMING, note(1), PRIMING, note(2), PRIMING]);
    const { events } = await replay(second, primed as string);
    equal(
      events.map(([, message]) => message),
      [note(1), note(2)],
      'the messages'
    );
  },

  async 'resumes from the last event, with nothing to replay until there is more'({ first, second }) {
    const streamId = streamIdOf();
    const last = (await storeAll(first, streamId, [note(1), note(2)])).at(-1) as string;
    equal(await replay(second, last), { events: [], returned: streamId }, 'what came after the last event');
    const next = await second.storeEvent(streamId, note(3));
    equal(await replay(first, last), { events: [[next, note(3)]], returned: streamId }, 'what has come since');
  },

  async 'keeps any message as it was'({ first, second }) {
    const fuzz = new Fuzz(9);
    const messages = [
      note(oddMetadata()),
      note(oneMebibyte()),
      ...oddTexts().map(note),
      ...Array.from({ length: 60 }, () => note(fuzz.json()))
    ];
    const streamId = streamIdOf();
    const cursor = await first.storeEvent(streamId, PRIMING);
    await storeAll(first, streamId, messages);
    const { events } = await replay(second, cursor);
    equal(events.length, messages.length, 'the number of messages');
    for (const [index, [, message]] of events.entries()) equal(message, messages[index], `message ${index}`);
  },

  async 'loses none of what two instances store at once, and shows both the same order'({ first, second }) {
    const streamId = streamIdOf();
    const cursor = await first.storeEvent(streamId, PRIMING);
    const write = async (store: FollowableEventStore, name: string) => {
      for (let i = 0; i < 100; i++) await store.storeEvent(streamId, note(`${name} ${i}`));
    };
    await Promise.all([write(first, 'a'), write(second, 'b')]);
    const [one, other] = [await replay(first, cursor), await replay(second, cursor)];
    equal(one, other, 'what either side replays');
    const said = one.events.map(([, { params }]) => params?.value as string);
    for (const name of ['a', 'b']) {
      const own = said.filter(text => text.startsWith(name));
      equal(
        own,
        Array.from({ length: 100 }, (_, i) => `${name} ${i}`),
        `what ${name} stored, in its order`
      );
    }
  },

  async 'sends one event after the other, and ends with a send that fails'({ first, second }) {
    const streamId = streamIdOf();
    const [cursor] = await storeAll(first, streamId, [PRIMING, note(1), note(2), note(3)]);
    const order: string[] = [];
    const send = async (_: string, message: JSONRPCMessage): Promise<void> => {
      const { value } = (message as { params: Record<string, unknown> }).params;
      order.push(`begin ${String(value)}`);
      await new Promise(resolve => setImmediate(resolve));
      order.push(`end ${String(value)}`);
      if (value === 2) throw new Error('the client is gone');
    };
    await rejects(second.replayEventsAfter(cursor as string, { send }), 'a replay that could not be sent fails');
    equal(order, ['begin 1', 'end 1', 'begin 2', 'end 2'], 'the order of sending');
  },

  async 'replays nothing after an event that it does not have'({ first, second }) {
    const streamId = streamIdOf();
    const id = await first.storeEvent(streamId, note(1));
    await first.storeEvent(streamId, note(2));
    const absent = ['', 'x', '@', streamId, `${streamId}@`, `${id}99`, `${id}99-0`, `${id} `, `x${id}`, randomUUID()];
    for (const unknown of absent) await expectUnknown(second, unknown);
  }
} satisfies EventCases;

/** Of stores with `getStreamIdForEventId`. */
export const streamIdCases = {
  async 'tells the stream of an event that it has, and of no other'({ first, second }) {
    const streamId = streamIdOf();
    const ids = await storeAll(first, streamId, [PRIMING, note(1)]);
    for (const id of ids) equal(await second.getStreamIdForEventId!(id), streamId, 'the stream of the event');
    for (const unknown of ['', 'x', streamId, `${ids[0]}99`, `${streamId}@`, `x${ids[0]}`]) {
      equal(await second.getStreamIdForEventId!(unknown), undefined, `the stream of ${JSON.stringify(unknown)}`);
    }
  }
} satisfies EventCases;

/** Of stores with `latestEventId`. */
export const latestCases = {
  async 'tells the last event of a stream, whoever stored it, and null where there is none'({ first, second }) {
    const [streamId, other] = [streamIdOf(), streamIdOf()];
    equal(await first.latestEventId!(streamId), null, 'the last event of a stream that never was');
    for (const [store, message] of [
      [first, PRIMING],
      [second, note(1)],
      [first, note(2)]
    ] as const) {
      const id = await store.storeEvent(streamId, message);
      for (const reader of [first, second]) equal(await reader.latestEventId!(streamId), id, 'the last event');
    }
    equal(await second.latestEventId!(other), null, 'the last event of another stream');
  }
} satisfies EventCases;

/** Of stores with `storeLastEvent`. */
export const completeCases = {
  async 'keeps the last event of a stream as any other, and takes what is stored after it'({ first, second }) {
    const streamId = streamIdOf();
    const cursor = await first.storeEvent(streamId, PRIMING);
    const last = await first.storeLastEvent!(streamId, note(1));
    const after = await second.storeEvent(streamId, note(2));
    const events = [
      [last, note(1)],
      [after, note(2)]
    ];
    equal(await replay(second, cursor), { events, returned: streamId }, 'what came after the first event');
    const only = streamIdOf();
    const both = await second.storeLastEvent!(only, note(3));
    equal(await replay(first, both), { events: [], returned: only }, 'what came after an event that is first and last');
  }
} satisfies EventCases;

/** Of stores with `deleteStreams`. */
export const deleteCases = {
  async 'removes the streams of a session that are named or complete, and those of no other session'(stores) {
    const { first, second } = stores;
    const sessionId = randomUUID();
    const others = [`${sessionId}:x`, sessionId.slice(1), randomUUID()];
    const store = async (id: string, name: string, isLast: boolean): Promise<string> => {
      const streamId = `${id}:${name}`;
      await first.storeEvent(streamId, PRIMING);
      return isLast && first.storeLastEvent
        ? first.storeLastEvent(streamId, note(1))
        : first.storeEvent(streamId, note(1));
    };
    const gone = [await store(sessionId, 'open', false)];
    if (first.storeLastEvent) for (const name of ['a', 'b']) gone.push(await store(sessionId, name, true));
    const kept = [];
    for (const id of others) for (const isLast of [true, false]) kept.push(await store(id, `of ${isLast}`, isLast));
    await second.deleteStreams!(sessionId, [`${sessionId}:open`, `${sessionId}:never`]);
    for (const id of gone) await expectUnknown(second, id);
    for (const id of kept) equal((await replay(second, id)).events, [], 'what came after the last event');
    await second.deleteStreams!(sessionId, []);
    const anew = await second.storeEvent(`${sessionId}:open`, PRIMING);
    const next = await first.storeEvent(`${sessionId}:open`, note(2));
    equal((await replay(first, anew)).events, [[next, note(2)]], 'the events of a stream that begins anew');
  }
} satisfies EventCases;

/** Of stores that keep ten events of a stream; they may keep some hundred more. */
export const boundedCases = {
  async 'keeps the last events of a long stream, and refuses to resume from one that it has dropped'(stores) {
    const { first, second } = stores;
    const streamId = streamIdOf();
    const ids = await storeAll(
      first,
      streamId,
      Array.from({ length: 500 }, (_, i) => note(i))
    );
    await expectUnknown(second, ids[0] as string);
    const { events } = await replay(second, ids.at(-10) as string);
    equal(
      events,
      ids.slice(-9).map((id, i) => [id, note(491 + i)]),
      'the last events'
    );
  }
} satisfies EventCases;

/** Of stores that keep a stream for a second after its last event. */
export const expiringCases = {
  async 'forgets a stream some time after its last event'({ first, second, elapse }) {
    const [quiet, busy] = [streamIdOf(), streamIdOf()];
    const [lost] = await storeAll(first, quiet, [note(1), note(2)]);
    const [kept] = await storeAll(first, busy, [note(1)]);
    for (let i = 2; i < 6; i++) {
      await elapse(400);
      await second.storeEvent(busy, note(i));
    }
    await expectUnknown(second, lost as string);
    equal((await replay(second, kept as string)).events.length, 4, 'the events of a stream that was written to');
  }
} satisfies EventCases;

type Note = JSONRPCMessage & { params: Record<string, unknown> };

function note(value: unknown): Note {
  return { jsonrpc: '2.0', method: 'notifications/test', params: { value } };
}

/** A stream id in the transport's form. */
function streamIdOf(): string {
  return `${randomUUID()}:standalone`;
}

async function storeAll(
  store: FollowableEventStore,
  streamId: string,
  messages: readonly JSONRPCMessage[]
): Promise<string[]> {
  const ids = [];
  for (const message of messages) ids.push(await store.storeEvent(streamId, message));
  return ids;
}

async function replay(
  store: FollowableEventStore,
  lastEventId: string
): Promise<{ events: [string, Note][]; returned: string }> {
  const events: [string, Note][] = [];
  const send = async (eventId: string, message: JSONRPCMessage) => void events.push([eventId, message as Note]);
  return { returned: await store.replayEventsAfter(lastEventId, { send }), events };
}

/** The store must report it by an error or by an empty stream id, and never replay a part of the events. */
async function expectUnknown(store: FollowableEventStore, lastEventId: string): Promise<void> {
  const sent: string[] = [];
  const send = async (eventId: string) => void sent.push(eventId);
  const returned = await store.replayEventsAfter(lastEventId, { send }).catch(() => '');
  equal({ returned, sent }, { returned: '', sent: [] }, `a replay after ${JSON.stringify(lastEventId.slice(0, 80))}`);
}
