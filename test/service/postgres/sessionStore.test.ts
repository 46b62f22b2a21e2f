import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { inspect } from 'node:util';
import {
  migrate,
  PostgresSessionStore,
  SessionExistsError,
  SessionRecordUnreadableError,
  SessionStoreUnavailableError,
  type SessionData
} from 'mcp-sdk-anypod/server';
import { sessionStoreContract } from 'mcp-sdk-anypod/testing';
import type { Pool, PoolConfig } from 'pg';
import { PostgresPools } from '../../support/servers/postgresPools.js';
import { until } from '../../support/until.js';

let postgres: PostgresPools;
beforeAll(async () => void (postgres = await PostgresPools.start()));
afterAll(() => postgres.stop());

describe.each<[string, PoolConfig, string | undefined]>([
  ['', {}, undefined],
  [' with one connection, and tables of other names', { max: 1 }, 'Odd-$']
])('the contract%s', (name, config, table) => {
  let pools: [Pool, Pool];
  const schema = `S$-${randomUUID().slice(0, 8)}`;
  beforeAll(async () => {
    pools = [postgres.pool(config), postgres.pool(config)];
    await migrate({ pool: pools[0], schema, table });
  });

  sessionStoreContract({
    describe,
    it,
    name: `PostgresSessionStore${name}`,
    optionalMethods: ['touchSession', 'refreshSessions', 'getSessionOwner', 'patchSession', 'listSessionIds'],
    makeTwo: async ({ ttlSeconds }) => ({
      first: new PostgresSessionStore({ pool: pools[0], schema, table, ttlSeconds }),
      second: new PostgresSessionStore({ pool: pools[1], schema, table, ttlSeconds })
    })
  });
});

describe('PostgresSessionStore', () => {
  let pool: Pool;
  let schema: string;
  let store: PostgresSessionStore;
  let other: PostgresSessionStore;

  beforeAll(() => void (pool = postgres.pool()));
  beforeEach(async () => {
    schema = await postgres.schema();
    store = new PostgresSessionStore({ pool, schema });
    other = new PostgresSessionStore({ pool: postgres.pool(), schema });
  });

  const rows = async (table: string) => (await pool.query(`select * from "${schema}".${table}`)).rows as unknown[];
  const idsOf = async (filter?: { subscribedTo?: string; principal?: string }) => {
    const ids: string[] = [];
    for await (const batch of other.listSessionIds(filter)) ids.push(...batch);
    return ids;
  };
  /** As if so many seconds had passed. */
  const age = async (seconds: number) => {
    const back = `- interval '${seconds} seconds'`;
    await pool.query(`update "${schema}".mcp_session set expires_at = expires_at ${back}, sweep_at = sweep_at ${back}`);
    await pool.query(
      `update "${schema}".mcp_session_lock set sweep_at = sweep_at ${back},
        leases = (select coalesce(array_agg(u ${back}), '{}') from unnest(leases) u)`
    );
  };

  test('a record of a megabyte is returned unchanged, including the order of its keys', async () => {
    const metadata = JSON.parse(
      '{"z": 1, "mcp": {"subscriptions": [], "logLevel": "info", "x": 1}, "a": 1.0e2, "10": 0, "__proto__": {"b": []}}'
    ) as SessionData['metadata'];
    const text = JSON.stringify(metadata);
    await store.storeSession('a', record('a', { metadata }));
    expect(JSON.stringify((await other.getSession('a'))?.metadata)).toBe(text);

    const long = `"'\\\u0000\ud83d🙂${'é'.repeat(512 * 1024)}`;
    await store.storeSession('b', record('b', { metadata: { long, [long]: 1 }, createdAt: 0.5, lastActivity: -1 }));
    const read = await other.getSession('b');
    expect(read).toMatchObject({ createdAt: 0.5, lastActivity: -1 });
    expect(read?.metadata).toEqual({ long, [long]: 1 });
  });

  test('ids, URIs and principals may contain quotes, NUL and lone surrogates, and have any length', async () => {
    const odd = [
      "'; drop schema public; --",
      'NUL \u0000',
      '\ud83d alone',
      '🙂',
      '"',
      '\\',
      '$1',
      '%',
      'x'.repeat(9000)
    ];
    for (const [i, uri] of odd.entries()) {
      const mcp = { principal: uri, subscriptions: [uri, 'common'] };
      await store.storeSession(`s${i}`, record(`s${i}`, { metadata: { mcp } }));
      await store.patchSession(`s${i}`, { subscribe: `${uri} too` });
    }
    for (const [i, uri] of odd.entries()) {
      expect((await other.getSession(`s${i}`))?.metadata?.mcp?.subscriptions).toEqual([uri, 'common', `${uri} too`]);
      for (const filter of [{ principal: uri }, { subscribedTo: uri }, { subscribedTo: `${uri} too` }]) {
        expect(await idsOf(filter)).toEqual([`s${i}`]);
      }
      await other.patchSession(`s${i}`, { unsubscribe: uri });
      expect(await idsOf({ subscribedTo: uri })).toEqual([]);
    }
    expect(await idsOf({ subscribedTo: 'common' })).toHaveLength(odd.length);
    const id = `'"${'🙂'.repeat(20)}`;
    await store.storeSession(id, record(id));
    expect((await other.touchSession(id))?.sessionId).toBe(id);
  });

  test('a touch of an unchanged record is one statement that does not return the record', async () => {
    await store.storeSession('a', record('a', { metadata: { long: 'x'.repeat(100_000) } }));
    const known = (await store.touchSession('a'))!;
    const asked = jest.spyOn(pool, 'query');
    try {
      expect(await store.touchSession('a', known)).toBe(known);
      expect(asked).toHaveBeenCalledTimes(1);
      const { rows } = (await asked.mock.results[0]!.value) as unknown as { rows: unknown[] };
      expect(JSON.stringify(rows).length).toBeLessThan(400);
    } finally {
      asked.mockRestore();
    }
  });

  test('lists each session once, in several round trips', async () => {
    const ids = Array.from({ length: 1203 }, (_, i) => `s${i}`);
    const metadata = { mcp: { subscriptions: ['file:///x'], principal: 'me' } };
    await Promise.all(ids.map(id => store.storeSession(id, record(id, { metadata }))));
    await store.storeSession('another', record('another'));
    await store.deleteSession('s7');
    const expected = ids.filter(id => id !== 's7').sort();
    expect(await idsOf({ subscribedTo: 'file:///x' })).toEqual(expected);
    expect(await idsOf({ principal: 'me' })).toEqual(expected);
    expect(await idsOf()).toEqual([...expected, 'another'].sort());
    expect(await idsOf({ principal: 'nobody' })).toEqual([]);
  });

  test('a list is read from an index, however many other sessions there are', async () => {
    const sql = `insert into "${schema}".mcp_session
      (session_id, revision, expires_at, sweep_at, initialized, created_at, last_activity, principal_hash)
      select 's' || n, 1, now() + interval '1 hour', now() + interval '1 hour', true, 0, 0, sha256(n::text::bytea)
      from generate_series(1, 20000) n`;
    await pool.query(sql);
    await pool.query(`analyze "${schema}".mcp_session`);
    await store.storeSession('mine', record('mine', { metadata: { mcp: { principal: 'me', subscriptions: ['x'] } } }));
    const theirs = postgres.pool();
    other = new PostgresSessionStore({ pool: theirs, schema });
    const asked = jest.spyOn(theirs, 'query');
    expect(await idsOf({ principal: 'me' })).toEqual(['mine']);
    expect(await idsOf({ subscribedTo: 'x' })).toEqual(['mine']);
    expect(asked).toHaveBeenCalledTimes(2);
    for (const [text, values] of asked.mock.calls as unknown as [string, unknown[]][]) {
      const plan = JSON.stringify((await pool.query(`explain (format json) ${text}`, values)).rows);
      expect(plan).toContain('Index');
      expect(plan).not.toContain('Seq Scan');
    }
  });

  test('no method sees an expired session, and its id can be used for a new session', async () => {
    const metadata = { mcp: { subscriptions: ['file:///x'], principal: 'me' } };
    await store.storeSession('a', record('a', { metadata }));
    await store.patchSession('a', { logLevel: 'error', subscribe: 'file:///y' });
    await store.putState('a', 'kept', 0);
    const known = (await store.touchSession('a'))!;
    await age(3601);
    expect(await store.getSession('a')).toBeNull();
    expect(await store.touchSession('a', known)).toBeNull();
    expect(await store.sessionExists('a')).toBe(false);
    expect(await store.patchSession('a', { logLevel: 'info' })).toBe(false);
    expect(await store.getState('a')).toBeNull();
    expect(await store.putState('a', 'x')).toBe('missing');
    await store.updateSessionActivity('a');
    for (const filter of [{}, { subscribedTo: 'file:///x' }, { principal: 'me' }])
      expect(await idsOf(filter)).toEqual([]);

    await other.storeSession('a', record('a'));
    const fresh = (await store.touchSession('a', known))!;
    expect(fresh).not.toBe(known);
    expect(fresh.metadata).toBeUndefined();
    expect(await store.getState('a')).toEqual({ value: null, version: 0 });
    for (const filter of [{ subscribedTo: 'file:///x' }, { subscribedTo: 'file:///y' }, { principal: 'me' }]) {
      expect(await idsOf(filter)).toEqual([]);
    }
  });

  test('a deleted session leaves an empty tombstone for a minute', async () => {
    await store.storeSession('a', record('a', { metadata: { mcp: { subscriptions: ['x'], principal: 'me' } } }));
    await store.putState('a', 'secret');
    await other.deleteSession('a');
    await age(59);
    await expect(store.storeSession('a', record('a'))).rejects.toThrow(SessionExistsError);
    expect(await rows('mcp_session')).toMatchObject([{ metadata: null, state: null, subscriptions: null }]);
    expect(await rows('mcp_session_subscription')).toEqual([]);
    await age(2);
    await store.storeSession('a', record('a'));
    expect(await other.sessionExists('a')).toBe(true);
  });

  test('expired rows are removed, in several batches and by two sweepers at the same time, and no others', async () => {
    const ids = Array.from({ length: 450 }, (_, i) => `s${i}`);
    await Promise.all(
      ids.map(id => store.storeSession(id, record(id, { metadata: { mcp: { subscriptions: ['x'] } } })))
    );
    await store.deleteSession('s0');
    await store.acquireLock('s1', 't', 1000);
    await age(3600 * 1.25 + 60);
    await store.storeSession('live', record('live', { metadata: { mcp: { subscriptions: ['x'] } } }));
    await store.acquireLock('live', 't', 60_000);
    const removed = await Promise.all([store.sweep(), other.sweep()]);
    expect(removed[0] + removed[1]).toBe(451);
    expect(await rows('mcp_session')).toMatchObject([{ session_id: 'live' }]);
    expect(await rows('mcp_session_subscription')).toHaveLength(1);
    expect(await rows('mcp_session_lock')).toMatchObject([{ session_id: 'live' }]);
  });

  test('each call to the store may remove expired rows', async () => {
    const brief = new PostgresSessionStore({ pool, schema, ttlSeconds: 1 });
    await brief.storeSession('a', record('a'));
    await until('the row is gone', async () => {
      await brief.sessionExists('another');
      return (await rows('mcp_session')).length === 0;
    });
  });

  test('a sweep does not wait for locked rows', async () => {
    await store.storeSession('held', record('held'));
    await store.storeSession('free', record('free'));
    await age(3600 * 2);
    const client = await pool.connect();
    await client.query('begin');
    await client.query(`select 1 from "${schema}".mcp_session where session_id = 'held' for update`);
    expect(await other.sweep()).toBe(1);
    await client.query('rollback');
    client.release();
    expect(await other.sweep()).toBe(1);
  });

  test.each(['{not json', '"text"', '[1]', '7', 'null'])(
    'reports that metadata %j is unreadable, and keeps it',
    async text => {
      await store.storeSession('a', record('a'));
      await pool.query(`update "${schema}".mcp_session set metadata = $1`, [text]);
      await expect(store.touchSession('a')).rejects.toThrow(SessionRecordUnreadableError);
      await expect(store.getSession('a')).rejects.toThrow(SessionRecordUnreadableError);
      expect(await rows('mcp_session')).toMatchObject([{ metadata: text }]);
    }
  );

  test('logs no session id', async () => {
    const onLog = jest.fn();
    store = new PostgresSessionStore({ pool, schema, onLog });
    await store.storeSession('secret-id', record('secret-id'));
    await store.deleteSession('secret-id');
    expect(onLog.mock.calls).toEqual([
      ['info', 'session created'],
      ['info', 'session deleted']
    ]);
  });

  describe('state', () => {
    beforeEach(() => store.storeSession('a', record('a')));

    test('is stored with a version, replaced if the version is the expected one, and removed', async () => {
      expect(await other.getState('a')).toEqual({ value: null, version: 0 });
      const odd = `"'\u0000\ud83d🙂\\n`;
      expect(await store.putState('a', odd, 0)).toBe('written');
      expect(await other.getState('a')).toEqual({ value: odd, version: 1 });
      expect(await other.putState('a', 'y', 0)).toBe('conflict');
      expect(await other.putState('a', 'y', 2)).toBe('conflict');
      expect(await other.putState('a', '', 1)).toBe('written');
      expect(await store.getState('a')).toEqual({ value: '', version: 2 });
      expect(await store.putState('a', null)).toBe('written');
      expect(await other.getState('a')).toEqual({ value: null, version: 3 });
      expect(await store.putState('missing', 'x')).toBe('missing');
      await store.deleteSession('a');
      expect(await store.getState('a')).toBeNull();
      expect(await store.putState('a', 'x', 3)).toBe('missing');
    });

    test('counts to 100 by compare and set from two pods', async () => {
      const increment = async (by: PostgresSessionStore): Promise<void> => {
        for (;;) {
          const { value, version } = (await by.getState('a'))!;
          if ((await by.putState('a', String(Number(value ?? 0) + 1), version)) === 'written') return;
        }
      };
      await Promise.all(Array.from({ length: 100 }, (_, i) => increment(i % 2 ? store : other)));
      expect(await store.getState('a')).toEqual({ value: '100', version: 100 });
    });

    test('does not change the record, so that no pod reads it again', async () => {
      const known = (await store.touchSession('a'))!;
      await other.putState('a', 'x');
      expect(await store.touchSession('a', known)).toBe(known);
    });
  });

  describe('locks', () => {
    test('50 callers through two pools get one lock one at a time, in the order of their calls', async () => {
      const served: number[] = [];
      const inside: number[] = [];
      const run = async (i: number): Promise<void> => {
        const by = i % 2 ? store : other;
        while (!(await by.acquireLock('s', `token ${i}`, 20_000))) await delay(5);
        inside.push(i);
        served.push(i);
        expect(inside).toEqual([i]);
        await delay(1);
        inside.pop();
        await by.releaseLock('s', `token ${i}`);
      };
      // Who holds the lock makes the others queue up, one behind the other.
      expect(await store.acquireLock('s', 'first', 20_000)).toBe(true);
      for (let i = 0; i < 50; i++)
        expect(await (i % 2 ? store : other).acquireLock('s', `token ${i}`, 20_000)).toBe(false);
      const all = Promise.all(Array.from({ length: 50 }, (_, i) => run(i)));
      await store.releaseLock('s', 'first');
      await all;
      expect(served).toEqual(Array.from({ length: 50 }, (_, i) => i));
    });

    test('of 50 callers at the same time one gets the lock', async () => {
      const asked = Array.from({ length: 50 }, (_, i) => (i % 2 ? store : other).acquireLock('s', `${i}`, 20_000));
      expect((await Promise.all(asked)).filter(Boolean)).toHaveLength(1);
    });

    test('an expired lease has no holder, and a place in the queue that was not renewed is lost', async () => {
      expect(await store.acquireLock('s', 'a', 10_000)).toBe(true);
      expect(await store.acquireLock('s', 'b', 10_000)).toBe(false);
      expect(await other.acquireLock('s', 'c', 60_000)).toBe(false);
      await age(11);
      expect(await store.renewLock('s', 'a', 10_000)).toBe(false);
      expect(await store.acquireLock('s', 'b', 10_000)).toBe(false);
      expect(await other.acquireLock('s', 'c', 10_000)).toBe(true);
      expect(await store.acquireLock('s', 'a', 10_000)).toBe(false);
      await other.releaseLock('s', 'c');
      expect(await store.acquireLock('s', 'a', 10_000)).toBe(false);
      expect(await store.acquireLock('s', 'b', 10_000)).toBe(true);
    });

    test('only the holder renews a lock, and asking again keeps the lock or the place in the queue', async () => {
      await store.acquireLock('s', 'a', 10_000);
      await store.acquireLock('s', 'b', 10_000);
      expect(await other.renewLock('s', 'b', 60_000)).toBe(false);
      expect(await other.renewLock('s', 'a', 60_000)).toBe(true);
      expect(await other.renewLock('other', 'a', 60_000)).toBe(false);
      await age(9);
      expect(await store.acquireLock('s', 'b', 10_000)).toBe(false);
      await age(9);
      expect(await store.acquireLock('s', 'a', 10_000)).toBe(true);
      await other.releaseLock('s', 'nobody');
      await other.releaseLock('s', 'a');
      await other.releaseLock('s', 'a');
      expect(await other.renewLock('s', 'a', 60_000)).toBe(false);
      expect(await store.acquireLock('s', 'b', 10_000)).toBe(true);
    });

    test('a waiter may leave the queue, and the session does not have to exist', async () => {
      await store.acquireLock('s', 'a', 10_000);
      await store.acquireLock('s', 'b', 10_000);
      await store.acquireLock('s', 'c', 10_000);
      await store.releaseLock('s', 'b');
      await store.releaseLock('s', 'a');
      expect(await store.acquireLock('s', 'c', 10_000)).toBe(true);
      expect(await store.sessionExists('s')).toBe(false);
    });
  });

  describe('says what to do', () => {
    const failing = async (given: Pool, name = 'missing') =>
      (await new PostgresSessionStore({ pool: given, schema: name })
        .getSession('secret')
        .catch((thrown: unknown) => thrown)) as Error;

    test('if the tables are missing', async () => {
      const error = await failing(pool);
      expect(error).toBeInstanceOf(SessionStoreUnavailableError);
      expect(error.message).toContain('call migrate({ pool, schema })');
    });

    test('if the password is wrong', async () => {
      await pool.query("create role walled login password 'right'");
      await postgres.server.requirePassword('walled');
      const error = await failing(
        postgres.pool({ connectionString: undefined, ...postgres.server.login('walled', 'wrong') })
      );
      expect(error).toBeInstanceOf(SessionStoreUnavailableError);
      expect(error.message).toContain('check the user and password');
      expect(inspect(error, { depth: 9 })).not.toMatch(/secret|wrong/);
      const right = postgres.pool({ connectionString: undefined, ...postgres.server.login('walled', 'right') });
      expect((await failing(right, schema)).message).toContain('may not do this in the schema');
    });

    test('if no server answers, and if the database does not exist', async () => {
      const unreachable = postgres.pool({ connectionString: 'postgres://postgres@127.0.0.1:1/postgres' });
      expect((await failing(unreachable)).message).toContain('check the host and port');
      const elsewhere = postgres.pool({ connectionString: postgres.server.url.replace(/postgres$/, 'nowhere') });
      expect((await failing(elsewhere)).message).toContain('database that the pool names does not exist');
    });

    test('if all connections are in use', async () => {
      const busy = postgres.pool({ max: 1 });
      const client = await busy.connect();
      // Set now, because it also limits the time to open a connection, and that depends on the machine.
      busy.options.connectionTimeoutMillis = 50;
      expect((await failing(busy)).message).toContain('gave no connection in time');
      client.release();
    });

    test('if the server accepts the connection and does not answer', async () => {
      const silent = createServer(socket => void socket.resume()).listen(0, '127.0.0.1');
      await once(silent, 'listening');
      const { port } = silent.address() as AddressInfo;
      const waiting = postgres.pool({
        connectionString: `postgres://postgres@127.0.0.1:${port}/postgres`,
        connectionTimeoutMillis: 50
      });
      try {
        expect((await failing(waiting)).message).toContain('gave no connection in time');
      } finally {
        silent.close();
      }
    });

    test('without showing values', async () => {
      await store.storeSession('secret', record('secret', { metadata: { secret: 1 } }));
      await pool.query(`alter table "${schema}".mcp_session add constraint odd check (log_level is null)`);
      const error: unknown = await store
        .patchSession('secret', { logLevel: 'info' })
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(SessionStoreUnavailableError);
      expect(inspect(error, { depth: 9 })).not.toContain('secret');
    });
  });

  test('an idle connection that is killed ends neither the process nor the store', async () => {
    const onLog = jest.fn();
    const own = postgres.pool({ max: 1, application_name: 'victim' });
    store = new PostgresSessionStore({ pool: own, schema, onLog });
    await store.storeSession('a', record('a'));
    await pool.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'victim'");
    await until('the pool has told of it', () => onLog.mock.calls.some(([level]) => level === 'warn'));
    expect(await store.sessionExists('a')).toBe(true);
  });
});

function record(sessionId: string, fields: Partial<SessionData> = {}): SessionData {
  const now = Date.now();
  return { sessionId, initialized: false, createdAt: now, lastActivity: now, ...fields };
}

describe.each(['repeatable read', 'serializable'])('with default_transaction_isolation = %s', isolation => {
  let schema: string;
  let stores: PostgresSessionStore[];
  beforeAll(async () => {
    schema = await postgres.schema();
    const options = `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}`;
    stores = Array.from(
      { length: 4 },
      () => new PostgresSessionStore({ pool: postgres.pool({ options, max: 4 }), schema })
    );
  });
  const ofEach = <T>(count: number, call: (store: PostgresSessionStore, index: number) => Promise<T>) =>
    Promise.all(Array.from({ length: count }, (_, index) => call(stores[index % stores.length]!, index)));

  test('no concurrent call on one session fails, and no change is lost', async () => {
    await stores[0]!.storeSession('a', record('a'));
    await Promise.all([
      ofEach(60, store => store.touchSession('a')),
      ofEach(60, (store, index) => store.patchSession('a', { subscribe: `test://${index}` })),
      ofEach(20, store => store.putState('a', '1')),
      ofEach(20, (store, index) => store.acquireLock('a', `t${index}`, 60_000))
    ]);
    const { metadata } = (await stores[1]!.getSession('a'))!;
    expect(metadata?.mcp?.subscriptions).toHaveLength(60);
    expect((await stores[2]!.getState('a'))?.version).toBe(20);
  });

  test('one of two concurrent deletions deletes a session, and one of two creations creates it', async () => {
    for (let round = 0; round < 10; round++) {
      const id = `r${round}`;
      const created = await Promise.allSettled(stores.map(store => store.storeSession(id, record(id))));
      expect(created.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const outcome of created) {
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(SessionExistsError);
      }
      const deleted = await Promise.all(stores.map(store => store.deleteSession(id)));
      expect(deleted.filter(Boolean)).toHaveLength(1);
    }
  });

  test('any number of pods migrate at once', async () => {
    const options = `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}`;
    const own = `s${randomUUID().slice(0, 8)}`;
    await Promise.all(Array.from({ length: 4 }, () => migrate({ pool: postgres.pool({ options }), schema: own })));
    await new PostgresSessionStore({ pool: postgres.pool(), schema: own }).storeSession('a', record('a'));
  });
});
