import { InvalidOptionError, migrate, PostgresSessionStore, StoreSchemaError } from 'mcp-sdk-anypod/server';
import type { Pool } from 'pg';
import { PostgresPools } from '../../support/servers/postgresPools.js';

let postgres: PostgresPools;
let pool: Pool;
beforeAll(async () => {
  postgres = await PostgresPools.start();
  pool = postgres.pool();
});
afterAll(() => postgres.stop());

const versions = async (schema: string) =>
  (await pool.query(`select component, version from "${schema}".mcp_migration order by component`)).rows as unknown[];

test('eight pods that migrate at once make the tables once', async () => {
  await Promise.all(Array.from({ length: 8 }, () => migrate({ pool: postgres.pool(), schema: 'eight' })));
  expect(await versions('eight')).toEqual([
    { component: 'mcp_event', version: 1 },
    { component: 'mcp_session', version: 1 },
    { component: 'mcp_task', version: 1 }
  ]);
});

test('migrating again changes nothing and needs no right to create tables', async () => {
  await migrate({ pool, schema: 'again' });
  await pool.query(`create role worker login; grant usage on schema again to worker;
    grant select, insert, update, delete on all tables in schema again to worker`);
  const worker = postgres.pool({ connectionString: undefined, ...postgres.server.login('worker', '') });
  await migrate({ pool: worker, schema: 'again' });
  const store = new PostgresSessionStore({ pool: worker, schema: 'again' });
  await store.storeSession('a', { sessionId: 'a', initialized: true, createdAt: 1, lastActivity: 1 });
  await store.deleteSession('a');
  await expect(migrate({ pool: worker, schema: 'other' })).rejects.toThrow(StoreSchemaError);
  await expect(migrate({ pool: worker, schema: 'other' })).rejects.toThrow('grant it');
});

test('an owner without the right to create schemas can use an existing one', async () => {
  await pool.query('create role tenant login; create schema owned authorization tenant');
  const tenant = postgres.pool({ connectionString: undefined, ...postgres.server.login('tenant', '') });
  await migrate({ pool: tenant, schema: 'owned' });
  expect(await versions('owned')).toHaveLength(3);
});

test('several tables of sessions share a schema', async () => {
  await migrate({ pool, schema: 'shared' });
  await new PostgresSessionStore({ pool, schema: 'shared', table: 'second' }).migrate();
  expect(await versions('shared')).toHaveLength(4);
  const stores = ['mcp_session', 'second'].map(table => new PostgresSessionStore({ pool, schema: 'shared', table }));
  await stores[0]!.storeSession('a', { sessionId: 'a', initialized: true, createdAt: 1, lastActivity: 1 });
  expect(await stores[1]!.sessionExists('a')).toBe(false);
});

test('tables of a newer release are left alone, and the error says so', async () => {
  await migrate({ pool, schema: 'newer' });
  await pool.query('update newer.mcp_migration set version = 7 where component = $1', ['mcp_event']);
  const error = (await migrate({ pool, schema: 'newer' }).catch((thrown: unknown) => thrown)) as Error;
  expect(error).toBeInstanceOf(StoreSchemaError);
  expect(error.message).toMatch(/mcp_event are of version 7.* newer release/);
});

test('a migration that fails halfway leaves no tables and can be repeated', async () => {
  await pool.query('create schema half; create table half.mcp_task (x int)');
  await expect(migrate({ pool, schema: 'half' })).rejects.toThrow(StoreSchemaError);
  expect((await pool.query("select 1 from pg_tables where schemaname = 'half'")).rowCount).toBe(1);
  await pool.query('drop table half.mcp_task');
  await migrate({ pool, schema: 'half' });
});

test('an unreachable Postgres is reported as unavailable', async () => {
  const unreachable = postgres.pool({ connectionString: 'postgres://postgres@127.0.0.1:1/postgres' });
  await expect(migrate({ pool: unreachable })).rejects.toThrow('check the host and port');
});

test.each([
  [{ schema: 'a"; drop schema public; --' }, 'schema'],
  [{ schema: '' }, 'schema'],
  [{ table: '1a' }, 'table'],
  [{ table: 'x'.repeat(41) }, 'table'],
  [{ schema: 'x'.repeat(40), table: 'x'.repeat(20) }, 'table'],
  [{ table: 'mcp_event' }, 'table'],
  [{ schema: 7 }, 'schema'],
  [{ pool: {} }, 'pool'],
  [{ ttlSeconds: 0 }, 'ttlSeconds'],
  [{ onLog: 'x' }, 'onLog']
])('%j is refused by name', (options, name) => {
  const make = () => new PostgresSessionStore({ pool, ...options } as never);
  expect(make).toThrow(InvalidOptionError);
  expect(make).toThrow(name);
});
