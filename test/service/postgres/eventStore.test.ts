import { randomUUID } from 'node:crypto';
import { EventCursorError, EventStoreUnavailableError, PostgresEventStore } from 'mcp-sdk-anypod/server';
import { eventStoreContract } from 'mcp-sdk-anypod/testing';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import type { Pool } from 'pg';
import { PostgresPools } from '../../support/servers/postgresPools.js';
import { until } from '../../support/until.js';

let postgres: PostgresPools;
let pool: Pool;
let other: Pool;
let schema: string;
let first: PostgresEventStore;
let second: PostgresEventStore;

beforeAll(async () => {
  postgres = await PostgresPools.start();
  schema = await postgres.schema();
  pool = postgres.pool();
  other = postgres.pool();
  first = make();
  second = make();
});
afterAll(() => postgres.stop());

function make(options: { maxEventsPerStream?: number; ttlSeconds?: number } = {}): PostgresEventStore {
  return new PostgresEventStore({ pool: postgres.pool(), schema, ...options });
}

const message = (data: unknown): JSONRPCMessage => ({
  jsonrpc: '2.0',
  method: 'notifications/message',
  params: { level: 'info', data }
});
const PRIMING = {} as JSONRPCMessage;

async function replay(store: PostgresEventStore, eventId: string) {
  const events: { id: string; data: unknown }[] = [];
  const streamId = await store.replayEventsAfter(eventId, {
    send: async (id, sent) => void events.push({ id, data: (sent as { params?: { data: unknown } }).params?.data })
  });
  return { streamId, events, data: events.map(({ data }) => data) };
}

/** As if so many seconds had passed. */
async function age(streamId: string, seconds: number): Promise<void> {
  const back = `- interval '${seconds} seconds'`;
  const sql = `update "${schema}".mcp_event_stream set expires_at = expires_at ${back}, sweep_at = sweep_at ${back}`;
  await pool.query(`${sql} where stream_id = $1`, [streamId]);
}

test.each([
  `${'x'.repeat(50_000)}@1-1`,
  `s@${'9'.repeat(18)}-${'9'.repeat(18)}`,
  `s@${'9'.repeat(40)}-1`,
  `s@1-${'9'.repeat(19)}`,
  's@0-1',
  's@1--1',
  's@1-1e9',
  '\u0000@1-1',
  '\ud83d@1-1'
])('an event id that no event has is unknown, not a failure: %#', async eventId => {
  expect(await first.getStreamIdForEventId(eventId)).toBeUndefined();
  await expect(first.replayEventsAfter(eventId, { send: async () => {} })).rejects.toThrow(EventCursorError);
});

const count = async () => (await pool.query(`select 1 from "${schema}".mcp_event`)).rowCount ?? 0;

eventStoreContract({
  describe,
  it,
  name: 'PostgresEventStore',
  optionalMethods: ['getStreamIdForEventId', 'latestEventId', 'storeLastEvent', 'startEventId', 'deleteStreams'],
  makeTwo: async limits => ({
    first: new PostgresEventStore({ pool, schema, ...limits }),
    second: new PostgresEventStore({ pool: other, schema, ...limits })
  })
});

test('a pod replays the events of another pod after the cursor, in order, unchanged, without priming events', async () => {
  const stream = `${randomUUID()}:standalone`;
  const odd = { '': "'\u0000\ud83d🙂", list: [[], {}], big: 9007199254740991, long: 'x'.repeat(1_000_000) };
  const primed = await first.storeEvent(stream, PRIMING);
  const ids = [];
  for (const data of [1, odd, 3]) ids.push(await (data === 3 ? second : first).storeEvent(stream, message(data)));
  expect(await replay(second, primed)).toMatchObject({ streamId: stream, data: [1, odd, 3] });
  expect((await replay(second, ids[0]!)).events.map(({ id }) => id)).toEqual(ids.slice(1));
  expect((await replay(first, ids[2]!)).events).toEqual([]);
  expect(await second.getStreamIdForEventId(primed)).toBe(stream);
});

test('streams with unusual names are kept apart', async () => {
  const run = randomUUID();
  const streams = ["'", '@', '@1-1', '%', '"', '\u0000', 'x:y', 'ü', 'a\nb'].map(odd => run + odd);
  const ids = await Promise.all(streams.map(stream => first.storeEvent(stream, PRIMING)));
  await Promise.all(streams.map(stream => second.storeEvent(stream, message(stream))));
  for (const [i, id] of ids.entries()) {
    expect(await second.getStreamIdForEventId(id)).toBe(streams[i]);
    expect(await replay(second, id)).toMatchObject({ streamId: streams[i], data: [streams[i]] });
  }
});

test('a cursor of another stream, of none, and no cursor at all are errors', async () => {
  const [mine, another] = [`${randomUUID()}:a`, `${randomUUID()}:b`];
  const id = await first.storeEvent(mine, message(1));
  await first.storeEvent(another, message('secret'));
  await first.storeEvent(another, message('secret'));
  const position = id.slice(id.lastIndexOf('@') + 1);
  const key = position.split('-')[0];
  const wrong = [
    ...[`${another}@${position}`, `${mine}@${key}-2`, `${mine}@${Number(key) + 1}-1`, `${mine}@${key}-0`, mine],
    ...['', '@1-1', `${mine}@1`, `${mine}@${'9'.repeat(30)}-1`, `${mine}@1-1; drop table x`, `${mine}@-1-1`]
  ];
  for (const cursor of wrong) {
    await expect(replay(second, cursor)).rejects.toThrow(EventCursorError);
    expect(await second.getStreamIdForEventId(cursor)).toBeUndefined();
  }
});

test('more than a thousand events are replayed in several round trips without a gap', async () => {
  const stream = randomUUID();
  const many = make({ maxEventsPerStream: 5000 });
  const primed = await many.storeEvent(stream, PRIMING);
  await Promise.all(Array.from({ length: 1500 }, (_, i) => many.storeEvent(stream, message(i))));
  const { data } = await replay(many, primed);
  expect((data as number[]).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1500 }, (_, i) => i));
  for (const length of [499, 500, 501, 1000]) {
    const from = (await replay(many, primed)).events.at(-length - 1)!;
    expect((await replay(many, from.id)).data).toEqual(data.slice(-length));
  }
});

test('a stream keeps a limited number of events, and a trimmed cursor is an error', async () => {
  const [stream, store] = [randomUUID(), make({ maxEventsPerStream: 20 })];
  const before = await count();
  const ids = [];
  for (let i = 0; i < 105; i++) {
    ids.push(await store.storeEvent(stream, message(i)));
    expect((await count()) - before).toBeLessThan(20 + 2);
  }
  expect((await replay(store, ids.at(-20)!)).data).toEqual(Array.from({ length: 19 }, (_, i) => 86 + i));
  for (const trimmed of [ids.at(-21)!, ids[0]!]) {
    await expect(replay(store, trimmed)).rejects.toThrow(EventCursorError);
    expect(await store.getStreamIdForEventId(trimmed)).toBeUndefined();
  }
});

test('a replay fails if its events are trimmed meanwhile, and sends no event out of order', async () => {
  const [stream, store] = [randomUUID(), make({ maxEventsPerStream: 1000 })];
  const primed = await store.storeEvent(stream, PRIMING);
  for (let i = 0; i < 900; i++) await store.storeEvent(stream, message(i));
  const seen: unknown[] = [];
  const slow = store.replayEventsAfter(primed, {
    send: async (_id, sent) => {
      seen.push((sent as { params?: { data: unknown } }).params?.data);
      if (seen.length === 1) {
        await Promise.all(Array.from({ length: 900 }, () => second.storeEvent(stream, message('later'))));
      }
    }
  });
  await expect(slow).rejects.toThrow(EventCursorError);
  expect(seen).toEqual(Array.from({ length: 500 }, (_, i) => i));
});

test('while six pods write to a stream, no event appears before one that a reader has seen', async () => {
  const stream = `${randomUUID()}:standalone`;
  const stores = Array.from({ length: 6 }, () => make());
  let cursor = await first.storeEvent(stream, PRIMING);
  let writing = true;
  const write = async (store: PostgresEventStore, by: number) => {
    for (let i = 0; i < 60; i++) await store.storeEvent(stream, message([by, i]));
  };
  const written = Promise.all(stores.map(write)).finally(() => (writing = false));
  const seen: [number, number][] = [];
  const read = async () => {
    const { events } = await replay(second, cursor);
    seen.push(...events.map(({ data }) => data as [number, number]));
    cursor = events.at(-1)?.id ?? cursor;
  };
  while (writing) await read();
  await written;
  await read();
  expect(seen).toHaveLength(360);
  for (const by of stores.keys()) {
    expect(seen.filter(([writer]) => writer === by).map(([, i]) => i)).toEqual(Array.from({ length: 60 }, (_, i) => i));
  }
});

test('a reader gets no id before a smaller id of the stream, even if that commits late', async () => {
  const stream = randomUUID();
  const primed = await first.storeEvent(stream, PRIMING);
  const client = await pool.connect();
  // A pod that has counted its event and not committed it.
  await client.query('begin');
  await client.query(`update "${schema}".mcp_event_stream set last_number = last_number + 1 where stream_id = $1`, [
    stream
  ]);
  const later = second.storeEvent(stream, message('later'));
  await until('the later one waits', async () => {
    return (await pool.query("select 1 from pg_stat_activity where wait_event_type = 'Lock'")).rowCount === 1;
  });
  expect((await replay(first, primed)).events).toEqual([]);
  await client.query('rollback');
  client.release();
  const id = await later;
  expect((await replay(first, primed)).events).toEqual([{ id, data: 'later' }]);
});

test('every pod can read the latest event of a stream, and gets none if the stream is empty', async () => {
  const stream = randomUUID();
  expect(await first.latestEventId(stream)).toBeNull();
  for (const data of [1, 2]) {
    const id = await first.storeEvent(stream, message(data));
    expect(await second.latestEventId(stream)).toBe(id);
  }
  await age(stream, 3601);
  expect(await first.latestEventId(stream)).toBeNull();
});

test('an expired stream is not replayed, and later events do not belong to it', async () => {
  const [stream, store] = [randomUUID(), make({ ttlSeconds: 100 })];
  const ids = [await store.storeEvent(stream, PRIMING), await store.storeEvent(stream, message('old'))];
  await age(stream, 99);
  expect((await replay(store, ids[0]!)).data).toEqual(['old']);
  await age(stream, 2);
  for (const id of ids) await expect(replay(store, id)).rejects.toThrow(EventCursorError);
  const anew = await store.storeEvent(stream, PRIMING);
  await store.storeEvent(stream, message('new'));
  for (const id of ids) await expect(replay(store, id)).rejects.toThrow(EventCursorError);
  expect((await replay(store, anew)).data).toEqual(['new']);
});

test('an expired stream is removed with its events and starts again with other ids', async () => {
  const [stream, store] = [randomUUID(), make({ ttlSeconds: 1 })];
  const rowsOf = async () =>
    (await pool.query(`select stream_key from "${schema}".mcp_event_stream where stream_id = $1`, [stream]))
      .rows as unknown[];
  const old = await store.storeEvent(stream, message('old'));
  const [{ stream_key: key }] = (await rowsOf()) as [{ stream_key: string }];
  await until('it is removed', async () => {
    await store.storeEvent('another', message(1));
    return (await rowsOf()).length === 0;
  });
  expect((await pool.query(`select 1 from "${schema}".mcp_event where stream_key = $1`, [key])).rowCount).toBe(0);
  await store.storeEvent(stream, message('new'));
  await store.storeEvent(stream, message('newer'));
  await expect(replay(store, old)).rejects.toThrow(EventCursorError);
});

test('an outage and missing tables are reported as different errors', async () => {
  const missing = new PostgresEventStore({ pool, schema: 'nowhere' });
  await expect(missing.storeEvent('s', PRIMING)).rejects.toThrow('call migrate');
  const unreachable = postgres.pool({ connectionString: 'postgres://postgres@127.0.0.1:1/postgres' });
  const away = new PostgresEventStore({ pool: unreachable, schema });
  await expect(away.storeEvent('s', PRIMING)).rejects.toThrow(EventStoreUnavailableError);
  await expect(replay(away, 's@1-1')).rejects.toThrow(EventStoreUnavailableError);
});
