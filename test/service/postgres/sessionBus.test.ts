import { setTimeout as delay } from 'node:timers/promises';
import { BusUnavailableError, PostgresSessionBus } from 'mcp-sdk-anypod/server';
import { sessionBusContract } from 'mcp-sdk-anypod/testing';
import type { Pool } from 'pg';
import { PostgresPools } from '../../support/servers/postgresPools.js';
import { startTcpProxy } from '../../support/servers/tcpProxy.js';
import { until } from '../../support/until.js';
import { replaceTimers } from '../../../src/timers.js';

let postgres: PostgresPools;
let admin: Pool;
let schema: string;
let speaker: PostgresSessionBus;
let listener: PostgresSessionBus;
let warnings: string[];

beforeAll(async () => {
  postgres = await PostgresPools.start();
  admin = postgres.pool();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  schema = await postgres.schema();
  warnings = [];
  [speaker, listener] = [make(), make()];
});
afterEach(() => Promise.all([speaker.close(), listener.close()]));

function make(pool = postgres.pool()): PostgresSessionBus {
  return new PostgresSessionBus({ pool, schema, onLog: (_level, message) => warnings.push(message) });
}

/** Ends the connections that listen; tells how many. */
async function killListeners(): Promise<number> {
  const sql = "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%'";
  return (await admin.query(sql)).rowCount ?? 0;
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => String(i));

describe('the contract', () => {
  let pools: [Pool, Pool];
  beforeAll(() => void (pools = [postgres.pool(), postgres.pool()]));

  sessionBusContract({
    describe,
    it,
    name: 'PostgresSessionBus',
    makeTwo: async () => {
      const [first, second] = [make(pools[0]), make(pools[1])];
      return { first, second, close: async () => void (await Promise.all([first.close(), second.close()])) };
    }
  });
});

test('a message reaches all listeners of its topic, including the publisher, and no others', async () => {
  const heard: string[] = [];
  await Promise.all([
    listener.subscribe('a', text => heard.push(`listener ${text}`)),
    speaker.subscribe('a', text => heard.push(`speaker ${text}`)),
    listener.subscribe('b', text => heard.push(`b ${text}`))
  ]);
  await speaker.publish('nobody listens', 'x');
  await speaker.publish('a', 'x');
  await until('both have heard', () => heard.length === 2);
  await speaker.publish('b', 'last');
  await until('b is heard', () => heard.includes('b last'));
  expect(heard.toSorted()).toEqual(['b last', 'listener x', 'speaker x']);
});

test('equal messages, unusual messages and messages on long topics arrive unchanged', async () => {
  const texts = ['', 'same', 'same', 'same', '\'"\\ \u0000 🙂 \ud83d', '{"p":1}', 'null'];
  const topics = ['', "it's; --", '\u0000', 'ü'.repeat(300), 'y'.repeat(20_000)];
  const heard = new Map(topics.map(topic => [topic, [] as string[]]));
  await Promise.all(topics.map(topic => listener.subscribe(topic, text => heard.get(topic)!.push(text))));
  await Promise.all(texts.flatMap(text => topics.map(topic => speaker.publish(topic, text))));
  await until('all is heard', () => [...heard.values()].every(({ length }) => length === texts.length));
  for (const topic of topics) expect(heard.get(topic)).toEqual(texts);
});

test('a message of any length arrives whole, on both sides of what a NOTIFY can carry', async () => {
  const heard: string[] = [];
  await listener.subscribe('t', text => heard.push(text));
  const near = Array.from({ length: 130 }, (_, i) => 'x'.repeat(7820 + i * 2));
  const texts = [...near, 'ü'.repeat(3970), '🙂'.repeat(1970), 'z'.repeat(3_000_000)];
  await Promise.all(texts.map(text => speaker.publish('t', text)));
  await until('all is heard', () => heard.length === texts.length);
  expect(heard.map(text => text.length)).toEqual(texts.map(text => text.length));
  expect(heard).toEqual(texts);
  expect((await admin.query(`select 1 from "${schema}".mcp_session_message`)).rowCount).toBeGreaterThan(2);
});

test('big and small messages of one publisher keep their order on a topic, for each of two publishers', async () => {
  const heard: string[] = [];
  await listener.subscribe('t', text => heard.push(text.trimEnd()));
  const other = make(postgres.pool({ max: 3 }));
  const sent = ['a', 'b'].map(name => upTo(150).map(i => `${name} ${i}`));
  await Promise.all(
    [speaker, other].flatMap((bus, by) =>
      sent[by]!.map((text, i) => bus.publish('t', i % 3 === by ? text.padEnd(9000 + i * 500) : text))
    )
  );
  await until('all is heard', () => heard.length === 300);
  for (const [by, name] of ['a', 'b'].entries()) expect(heard.filter(text => text.startsWith(name))).toEqual(sent[by]);
  await other.close();
});

test('long messages are removed after a minute, and short ones are not kept at all', async () => {
  const count = async () => (await admin.query(`select 1 from "${schema}".mcp_session_message`)).rowCount;
  await speaker.publish('t', 'short');
  expect(await count()).toBe(0);
  await speaker.publish('t', 'x'.repeat(9000));
  await speaker.publish('t', 'y'.repeat(9000));
  await admin.query(
    `update "${schema}".mcp_session_message set sent_at = now() - interval '61 seconds' where body like '%xx%'`
  );
  const sweeping = performance.now() + 60_000;
  const restoreTimers = replaceTimers({ performance: { now: () => sweeping } });
  try {
    await speaker.publish('t', 'occasion');
    await until('it is removed', async () => (await count()) === 1);
  } finally {
    restoreTimers();
  }
});

test('a subscription that is ended gets no more messages, and the others of its topic do', async () => {
  const heard: string[] = [];
  const leave = await listener.subscribe('t', text => heard.push(`first ${text}`));
  await listener.subscribe('t', text => heard.push(`second ${text}`));
  await leave();
  await speaker.publish('t', 'x');
  await until('it is heard', () => heard.length > 0);
  expect(heard).toEqual(['second x']);
});

describe('a NOTIFY on the channel of the bus that the bus did not send', () => {
  const notify = (payload: string) =>
    admin.query('select pg_notify($1, $2)', [`anypod:${schema}.mcp_session`, payload]);

  test.each([
    ...['', 'x', 'null', '0', 'true', '"kept"', '[]', '{}', '[null]', '{"kept":true}', '{"topic":"t"}'],
    ...['{"kept":true,"p":null,"n":{}}', '{"topic":"t","message":null}', '{"topic":{},"message":"x"}']
  ])('does not end the process, and later messages arrive: %j', async payload => {
    const heard: string[] = [];
    await listener.subscribe('t', text => heard.push(text));
    await notify(payload);
    await speaker.publish('t', 'later');
    await until('the later message arrives', () => heard.length === 1);
    expect(heard).toEqual(['later']);
    expect(warnings).toEqual(['dropped a NOTIFY on the channel of the bus that is not a message']);
  });

  test.each(['null', '[]', '{"topic":"t"}', 'no JSON'])(
    'does not end the process if it names a stored row that is not a message: %j',
    async body => {
      const heard: string[] = [];
      await listener.subscribe('t', text => heard.push(text));
      await admin.query(
        `insert into "${schema}".mcp_session_message (message_id, body, sent_at) values ('p-1', $1, now())`,
        [body]
      );
      await notify('{"kept":true,"p":"p","n":1}');
      await notify('{"kept":true,"p":"missing","n":1}');
      await speaker.publish('t', 'later');
      await until('the later message arrives', () => heard.length === 1);
      // Both are fetched at the same time: either may be reported first.
      expect(warnings.toSorted()).toEqual([
        'a long message of the bus is lost: it was removed before it was fetched',
        'a long message of the bus is lost: what is stored is not a message'
      ]);
    }
  );
});

test('an error that onLog throws does not end the process or the bus', async () => {
  const bus = new PostgresSessionBus({
    pool: postgres.pool(),
    schema,
    onLog: () => {
      throw new Error('of the application');
    }
  });
  const heard: string[] = [];
  await bus.subscribe('t', text => heard.push(text));
  await admin.query('select pg_notify($1, $2)', [`anypod:${schema}.mcp_session`, 'null']);
  expect(await killListeners()).toBeGreaterThan(0);
  await until('a message arrives', async () => {
    await speaker.publish('t', 'x');
    return heard.length > 0;
  });
  await bus.close();
});

test('a listener that throws affects neither other listeners nor later messages', async () => {
  const heard: string[] = [];
  await listener.subscribe('bad', () => {
    throw new Error('of the application');
  });
  await listener.subscribe('good', text => heard.push(text));
  await speaker.publish('bad', 'x');
  await speaker.publish('good', 'y');
  await until('it is heard', () => heard.length === 1);
  expect(warnings).toEqual(['a listener of the bus threw: of the application']);
});

test('the bus and its subscriptions recover each time the connection is killed under traffic', async () => {
  const heard: number[] = [];
  await listener.subscribe('t', text => heard.push(Number(text.trim())));
  let sent = 0;
  let stop = false;
  const traffic = (async () => {
    while (!stop) {
      const text = String(sent++);
      await speaker.publish('t', sent % 5 === 0 ? text.padEnd(9000) : text);
    }
  })();
  for (let round = 0; round < 5; round++) {
    const seen = heard.length;
    await until('it hears', () => heard.length > seen + 20);
    expect(await killListeners()).toBeGreaterThan(0);
    const then = sent;
    await until('it hears what was sent since', () => heard.some(number => number > then));
  }
  stop = true;
  await traffic;
  expect(heard).toEqual(heard.toSorted((a, b) => a - b));
  expect(new Set(heard).size).toBe(heard.length);
  expect(warnings.length).toBeGreaterThan(0);
  // A topic from after the outage works as one from before.
  const later: string[] = [];
  await listener.subscribe('later', text => later.push(text));
  await speaker.publish('later', 'x');
  await until('it is heard', () => later.length === 1);
});

test('a subscription during an outage of Postgres works after the outage, and publishing reports the outage', async () => {
  const { port } = new URL(postgres.server.url);
  const proxy = await startTcpProxy(Number(port));
  const pool = postgres.pool({ connectionString: `postgres://postgres@127.0.0.1:${proxy.port}/postgres` });
  const bus = make(pool);
  const heard: string[] = [];
  await bus.subscribe('before', text => heard.push(`before ${text}`));
  proxy.cut();
  const subscribed = bus.subscribe('during', text => heard.push(`during ${text}`));
  await until('publishing fails', () => bus.publish('before', 'lost').then(() => false, isOutage));
  proxy.restore();
  await subscribed;
  await until('all is heard', async () => {
    await Promise.allSettled([speaker.publish('before', 'x'), speaker.publish('during', 'x')]);
    await delay(20);
    return heard.includes('before x') && heard.includes('during x');
  });
  await bus.close();
  await proxy.stop();
});

test('with a wrong address the log says what to do, and a subscription waits until the bus is closed', async () => {
  const bus = make(postgres.pool({ connectionString: 'postgres://postgres@127.0.0.1:1/postgres' }));
  const subscribed = bus.subscribe('t', () => {});
  await expect(bus.publish('t', 'x')).rejects.toThrow('check the host and port');
  await until('it is told', () => warnings.some(text => text.includes('check the host and port')));
  await Promise.all([expect(subscribed).rejects.toThrow(BusUnavailableError), bus.close()]);
});

test('if a table is missing, publishing a long or a short message says to migrate', async () => {
  const bus = new PostgresSessionBus({ pool: admin, schema: 'nowhere' });
  await expect(bus.publish('t', 'x')).rejects.toThrow('call migrate');
  await bus.close();
});

test('close ends the listening connection, may be called twice, and later calls are refused', async () => {
  const heard: string[] = [];
  const unsubscribe = await listener.subscribe('t', text => heard.push(text));
  await Promise.all([listener.close(), listener.close()]);
  await unsubscribe();
  await speaker.publish('t', 'x');
  await expect(listener.publish('t', 'x')).rejects.toThrow(BusUnavailableError);
  await expect(listener.subscribe('t', () => {})).rejects.toThrow(BusUnavailableError);
  await until('the connection is gone', async () => {
    const sql = `select 1 from pg_stat_activity where query ilike 'listen%${schema}%'`;
    return (await admin.query(sql)).rowCount === 0;
  });
  expect(heard).toEqual([]);
});

test('a burst is sent in few statements', async () => {
  const pool = postgres.pool();
  const bus = make(pool);
  const heard: string[] = [];
  await listener.subscribe('t', text => heard.push(text));
  const asked = jest.spyOn(pool, 'query');
  await Promise.all(upTo(1000).map(text => bus.publish('t', text)));
  expect(asked.mock.calls.length).toBeLessThan(10);
  await until('all is heard', () => heard.length === 1000);
  expect(heard).toEqual(upTo(1000));
  await bus.close();
});

function isOutage(error: unknown): boolean {
  expect(error).toBeInstanceOf(BusUnavailableError);
  return true;
}
