import { migrate } from 'mcp-sdk-anypod/server';
import { Pool } from 'pg';
import { clockAhead, isProblem, runCliJson } from '../../support/cli.js';
import { startPgBouncer } from '../../support/servers/pgBouncer.js';
import { PostgresServer } from '../../support/servers/postgresServer.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';

interface Report {
  findings: { check: string; level: string; what: string; fix?: string }[];
}

let server: PostgresServer;
const urlOf = (user: string, port = new URL(server.url).port) => `postgres://${user}@127.0.0.1:${port}/postgres`;

beforeAll(async () => (server = await PostgresServer.create()));
afterAll(() => server.destroy());

async function examine(url: string, ...args: string[]) {
  const { code, stderr, json } = await runCliJson<Report>(['doctor', '--url', url, ...args]);
  expect(stderr).toBe('');
  const problems = json.findings.filter(isProblem);
  return { code, problems, checks: problems.map(({ check }) => check) };
}

async function withTables(schema: string): Promise<void> {
  const pool = new Pool({ connectionString: server.url });
  await migrate({ pool, schema });
  await pool.end();
}

describe('the doctor on Postgres', () => {
  it('finds nothing to improve with the tables of this release, and leaves no session', async () => {
    await withTables('good');
    expect(await examine(server.url, '--schema', 'good')).toEqual({ code: 0, problems: [], checks: [] });
    expect(await server.query('select 1 from good.mcp_session where not deleted')).toEqual([]);
  });

  it('warns if there are no tables, and creates none', async () => {
    expect(await examine(server.url, '--schema', 'absent')).toMatchObject({ code: 1, checks: ['migrations'] });
    expect(await server.query(`select 1 from pg_namespace where nspname = 'absent'`)).toEqual([]);
  });

  it('names a user who may not create the missing tables, and one who may only read', async () => {
    await withTables('read');
    await server.query(
      'create role reader login; grant usage on schema read to reader; grant select on all tables in schema read to reader; create role nobody login'
    );
    const absent = await examine(urlOf('reader'), '--schema', 'absent');
    expect([absent.code, absent.problems[0]?.fix]).toEqual([2, expect.stringContaining('GRANT CREATE ON DATABASE')]);
    const reading = await examine(urlOf('reader'), '--schema', 'read');
    expect([reading.code, reading.checks]).toEqual([2, ['rights']]);
    expect(reading.problems[0]?.what).toContain('insert, update, delete on "read"."mcp_session"');
    expect(await examine(urlOf('nobody'), '--schema', 'read')).toMatchObject({ code: 2, checks: ['rights'] });
  });

  it('names tables that a newer release has migrated', async () => {
    await withTables('newer');
    await server.query('update newer.mcp_migration set version = 99');
    const { code, problems } = await examine(server.url, '--schema', 'newer');
    expect([code, problems[0]?.fix]).toEqual([2, expect.stringContaining('npm install')]);
  });

  it.each([
    ['session', 0, []],
    ['transaction', 2, ['bus']]
  ] as const)('through PgBouncer in %s mode', async (mode, expected, named) => {
    await withTables(`pooled_${mode}`);
    const bouncer = await startPgBouncer(server.url, mode);
    stopAfterTest(() => bouncer.stop());
    const { code, checks, problems } = await examine(bouncer.url, '--schema', `pooled_${mode}`);
    expect([code, checks]).toEqual([expected, named]);
    if (problems[0]) expect(problems[0].fix).toContain('PgBouncer in transaction');
  });

  it('names a replica', async () => {
    const replica = await server.replica();
    stopAfterTest(() => replica.destroy());
    const { code, problems } = await examine(replica.url);
    expect([code, problems.map(({ what }) => what)]).toEqual([2, ['this is a replica, which takes no writes']]);
    expect(problems[0]?.fix).toContain('target_session_attrs=read-write');
  });

  it('warns of a clock that is ahead of the clock of Postgres', async () => {
    const { json } = await runCliJson<Report>(['doctor', '--url', server.url], clockAhead(90));
    const { level, what } = json.findings.find(({ check }) => check === 'clock')!;
    expect([level, what]).toEqual([
      'warning',
      expect.stringMatching(/^the clocks of this machine and of Postgres differ by (89|90)\.\d s$/)
    ]);
  });

  it('warns of tables of an older release, and names what the user lacks on those that exist', async () => {
    await withTables('older');
    await server.query(`delete from older.mcp_migration where component = 'mcp_task'`);
    await server.query('drop table older.mcp_task, older.mcp_task_message');
    const older = await examine(server.url, '--schema', 'older');
    expect([older.code, older.problems]).toEqual([
      1,
      [expect.objectContaining({ check: 'migrations', what: 'the tables of mcp_task have version 0 of 1' })]
    ]);
    expect(older.problems[0]?.fix).toContain(`migrate({ pool, schema: 'older' })`);
    await server.query('create role guest login; grant usage on schema older to guest');
    await server.query('grant select on all tables in schema older to guest');
    const lacking = await examine(urlOf('guest'), '--schema', 'older');
    expect([lacking.code, lacking.checks]).toEqual([2, ['migrations', 'rights']]);
    expect(lacking.problems[1]?.what).toContain('insert, update, delete on "older"."mcp_session"');
  });

  it('names each mistake with TLS', async () => {
    const encrypted = (url: string) => `${url}?sslmode=verify-full`;
    const none = await examine(encrypted(server.url));
    expect([none.code, none.checks, none.problems[0]?.fix]).toEqual([
      2,
      ['tls'],
      expect.stringContaining('remove sslmode')
    ]);
    const ca = await server.enableTls();
    await withTables('encrypted');
    const untrusted = await examine(encrypted(server.url));
    expect([untrusted.code, untrusted.problems[0]?.fix]).toEqual([2, expect.stringContaining('NODE_EXTRA_CA_CERTS')]);
    const { code, json } = await runCliJson<Report>(
      ['doctor', '--url', encrypted(server.url), '--schema', 'encrypted'],
      { NODE_EXTRA_CA_CERTS: ca }
    );
    expect([code, json.findings.find(({ check }) => check === 'tls')?.what]).toEqual([
      0,
      expect.stringMatching(/^TLSv1\.\d$/)
    ]);
    const otherName = await runCliJson<Report>(
      ['doctor', '--url', encrypted(server.url.replace('127.0.0.1', 'localhost'))],
      { NODE_EXTRA_CA_CERTS: ca }
    );
    expect(otherName.json.findings.map(({ check, fix }) => [check, fix])).toEqual([
      ['tls', expect.stringContaining('must be a name in the certificate')]
    ]);
    const later = await runCliJson<Report>(['doctor', '--url', encrypted(server.url)], {
      NODE_EXTRA_CA_CERTS: ca,
      ...clockAhead(3 * 86_400)
    });
    expect(later.json.findings.map(({ check, fix }) => [check, fix])).toEqual([
      ['tls', expect.stringContaining('renew the certificate')]
    ]);
    await server.query('create role careful login');
    await server.requireTls('careful');
    const plain = await examine(urlOf('careful'));
    expect([plain.code, plain.checks, plain.problems[0]?.fix]).toEqual([
      2,
      ['tls'],
      expect.stringContaining('sslmode=verify-full')
    ]);
  });

  it('names a user who may not connect to the database', async () => {
    await server.query('create role stranger login');
    await server.query('create database closed');
    await server.query('revoke connect on database closed from public');
    const { code, checks, problems } = await examine(urlOf('stranger').replace(/postgres$/, 'closed'));
    expect([code, checks]).toEqual([2, ['rights']]);
    expect(problems[0]?.fix).toContain('GRANT CONNECT ON DATABASE');
  });

  it('names a database that is read-only or absent, a wrong password and a server that does not answer', async () => {
    await server.query(`create role fixed login; alter role fixed set default_transaction_read_only = on`);
    expect(await examine(urlOf('fixed'))).toMatchObject({ code: 2, checks: ['kind'] });
    expect(await examine(server.url.replace(/postgres$/, 'absent'))).toMatchObject({ code: 2, checks: ['database'] });
    expect(await examine(urlOf('postgres', '1'))).toMatchObject({ code: 2, checks: ['reachable'] });
    await server.query(`create role guarded login password 'right'`);
    await server.requirePassword('guarded');
    expect(await examine(urlOf('guarded:wrong'))).toMatchObject({ code: 2, checks: ['login'] });
  });
});
