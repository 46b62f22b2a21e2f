import { randomUUID } from 'node:crypto';
import { equal, isTrue } from './assert.js';
import {
  type EventCases,
  expectUnknown,
  type Note,
  note,
  PRIMING,
  replay,
  storeAll,
  streamIdOf
} from './eventStoreSamples.js';
import { oddMetadata } from './samples.js';

/** Of stores with `getStreamIdForEventId`. */
export const streamIdCases = {
  async 'getStreamIdForEventId returns the stream of a stored event, and undefined for other ids'({ first, second }) {
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
  async 'latestEventId returns the last event of a stream, whichever instance stored it, or null'({ first, second }) {
    const [streamId, other] = [streamIdOf(), streamIdOf()];
    equal(await first.latestEventId!(streamId), null, 'the last event of a stream that never existed');
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
  async 'storeLastEvent stores an event like any other, and later events are accepted'({ first, second }) {
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

/** Of stores with `storeOnlyEvent`. */
export const onlyCases = {
  async 'storeOnlyEvent stores an event like any other, once, and later events are accepted'({ first, second }) {
    const streamId = streamIdOf();
    const only = await first.storeOnlyEvent!(streamId, note(oddMetadata()));
    isTrue(/^[\x21-\x7e]+$/.test(only), `the id is visible ASCII: ${JSON.stringify(only)}`);
    equal(await first.storeOnlyEvent!(streamId, note(oddMetadata())), only, 'the id of the event that is stored again');
    equal(await replay(second, only), { events: [], returned: streamId }, 'what came after the event');
    if (second.getStreamIdForEventId)
      equal(await second.getStreamIdForEventId(only), streamId, 'the stream of the event');
    const events: [string, Note][] = [[only, note(oddMetadata())]];
    if (second.startEventId) {
      const start = second.startEventId(streamId);
      equal(await replay(second, start), { events, returned: streamId }, 'the whole stream');
    }
    const after = await second.storeEvent(streamId, note(2));
    equal(await replay(first, only), { events: [[after, note(2)]], returned: streamId }, 'what came after it later');
  }
} satisfies EventCases;

/** Of stores with `startEventId`. */
export const startCases = {
  async 'a whole stream is replayed from its start, before the first event and after it'({ first, second }) {
    const streamId = streamIdOf();
    const start = first.startEventId!(streamId);
    isTrue(/^[\x21-\x7e]+$/.test(start), `the id is visible ASCII: ${JSON.stringify(start)}`);
    equal(second.startEventId!(streamId), start, 'the start on the other side');
    equal(await replay(second, start), { events: [], returned: streamId }, 'a stream without events');
    if (second.getStreamIdForEventId)
      equal(await second.getStreamIdForEventId(start), streamId, 'the stream of the start');
    const ids = await storeAll(first, streamId, [note(1), PRIMING, note(2)]);
    const events = [
      [ids[0], note(1)],
      [ids[2], note(2)]
    ];
    equal(await replay(second, start), { events, returned: streamId }, 'the whole stream');
    equal((await replay(second, ids[0] as string)).events, events.slice(1), 'what came after the first event');
  },

  async 'a whole stream of many events is replayed from its start'({ first, second }) {
    const streamId = streamIdOf();
    await storeAll(
      first,
      streamId,
      Array.from({ length: 999 }, (_, i) => note(i))
    );
    const { events } = await replay(second, second.startEventId!(streamId));
    equal(
      events.map(([, { params }]) => params.value),
      Array.from({ length: 999 }, (_, i) => i),
      'the values'
    );
  }
} satisfies EventCases;

/** Of stores with `startEventId` that keep ten events of a stream; they may keep some hundred more. */
export const boundedStartCases = {
  async 'a replay from the start of a stream is refused after its first events were removed'({ first, second }) {
    const streamId = streamIdOf();
    await storeAll(
      first,
      streamId,
      Array.from({ length: 500 }, (_, i) => note(i))
    );
    await expectUnknown(second, second.startEventId!(streamId));
  }
} satisfies EventCases;

/** Of stores with `deleteStreams`. */
export const deleteCases = {
  async 'deleteStreams removes the named and the complete streams of a session, and no others'(stores) {
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
