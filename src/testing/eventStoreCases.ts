import { randomUUID } from 'node:crypto';
import type { JSONRPCMessage } from '../sdkTypes.js';
import type { FollowableEventStore } from '../ports/eventStore.js';
import { equal, isTrue, rejects } from './assert.js';
import { type EventCases, expectUnknown, note, PRIMING, replay, storeAll, streamIdOf } from './eventStoreSamples.js';
import { Fuzz, oddMetadata, oddTexts, oneMebibyte } from './samples.js';

export const eventCases = {
  async 'events that one instance has stored are replayed by the other, in order'({ first, second }) {
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

  async 'each event has its own id, which an HTTP header can carry'({ first, second }) {
    const [a, b] = [streamIdOf(), streamIdOf()];
    const ids = [];
    for (let i = 0; i < 20; i++) ids.push(await (i % 2 ? first : second).storeEvent(i % 3 ? a : b, note(i)));
    equal(new Set(ids).size, ids.length, 'the number of different ids');
    for (const id of ids) isTrue(/^[\x21-\x7e]+$/.test(id), `the id is visible ASCII: ${JSON.stringify(id)}`);
  },

  async 'streams with unusual names are kept apart'({ first, second }) {
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

  async 'an event without a message can be resumed from and is not replayed'({ first, second }) {
    const streamId = streamIdOf();
    const [primed] = await storeAll(first, streamId, [PRIMING, note(1), PRIMING, note(2), PRIMING]);
    const { events } = await replay(second, primed as string);
    equal(
      events.map(([, message]) => message),
      [note(1), note(2)],
      'the messages'
    );
  },

  async 'after the last event nothing is replayed until another event is stored'({ first, second }) {
    const streamId = streamIdOf();
    const last = (await storeAll(first, streamId, [note(1), note(2)])).at(-1) as string;
    equal(await replay(second, last), { events: [], returned: streamId }, 'what came after the last event');
    const next = await second.storeEvent(streamId, note(3));
    equal(await replay(first, last), { events: [[next, note(3)]], returned: streamId }, 'what has come since');
  },

  async 'messages are replayed unchanged'({ first, second }) {
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

  async 'two instances that store at the same time lose no event and replay the same order'({ first, second }) {
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

  async 'a replay sends one event at a time and stops when a send fails'({ first, second }) {
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

  async 'a replay after an unknown event sends nothing and fails'({ first, second }) {
    const streamId = streamIdOf();
    const id = await first.storeEvent(streamId, note(1));
    await first.storeEvent(streamId, note(2));
    const absent = ['', 'x', '@', streamId, `${streamId}@`, `${id}99`, `${id}99-0`, `${id} `, `x${id}`, randomUUID()];
    for (const unknown of absent) await expectUnknown(second, unknown);
  }
} satisfies EventCases;

/** Of stores that keep ten events of a stream; they may keep some hundred more. */
export const boundedCases = {
  async 'the last events of a long stream are kept, and resuming from a removed event is refused'(stores) {
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
  async 'a stream is removed some time after its last event'({ first, second, elapse }) {
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
