import type { Pool } from 'pg';
import { componentsOf } from '../../backends/postgres/schema.js';
import { PostgresSessionStore } from '../../backends/postgres/sessionStore.js';
import { Date } from '../../timers.js';
import type { Findings } from '../finding.js';
import type { PostgresTarget } from '../postgresConnection.js';
import { age, bytes } from '../terminal.js';

const RIGHTS = ['select', 'insert', 'update', 'delete'] as const;
/** Expired rows, as a multiple of the live ones, that vacuum should have removed. */
const BLOATED = 10;
const MIN_DEAD = 10_000;

/** Migrations and rights. @returns whether the tables can be used */
export async function checkTables(pool: Pool, target: PostgresTarget, findings: Findings): Promise<boolean> {
  try {
    return await checkMigrations(pool, target, findings);
  } catch (error) {
    // SQLSTATE of a missing right.
    if ((error as { code?: string }).code !== '42501') throw error;
    lacks(`what it needs (${(error as Error).message})`, 'USER', target, findings);
    return false;
  }
}

async function checkMigrations(pool: Pool, target: PostgresTarget, findings: Findings): Promise<boolean> {
  const { tables } = target;
  const [found] = await rowsOf(
    pool,
    `select to_regclass($1) is not null as migrated, exists (select from pg_namespace where nspname = $2) as schema,
      has_database_privilege(current_database(), 'create') as may_create, current_user as name, current_database() as database`,
    [tables.migrations, tables.schema]
  );
  if (!found?.migrated) return missing(found ?? {}, target, findings);
  const versions = new Map(
    (await rowsOf(pool, `select component, version from ${tables.migrations}`)).map(row => [
      row.component,
      Number(row.version)
    ])
  );
  for (const { name, versions: known } of componentsOf(tables)) {
    const version = versions.get(name) ?? 0;
    if (version > known.length) {
      findings.fatal(
        'migrations',
        `the tables of ${name} have version ${version}, and this release knows ${known.length}`,
        {
          why: 'a newer release has migrated them; pods of this release refuse them',
          fix: 'npm install mcp-sdk-anypod@latest for this machine and for the pods'
        }
      );
      return false;
    }
    if (version < known.length) {
      findings.warning('migrations', `the tables of ${name} have version ${version} of ${known.length}`, {
        why: 'pods that call migrate() upgrade them when they start; others fail',
        fix: `await migrate({ pool, schema: '${tables.schema}' }) once, with a user that owns the tables`
      });
    }
  }
  if (findings.all.every(({ check }) => check !== 'migrations')) findings.ok('migrations', 'all tables are up to date');
  return checkRights(pool, target, String(found.name), findings);
}

function missing(found: Record<string, unknown>, { tables }: PostgresTarget, findings: Findings): false {
  const what = `there are no tables in the schema ${tables.schema}`;
  if (found.may_create) {
    findings.warning('migrations', what, {
      why: 'createSessionServices creates them when the first pod starts; other pods need migrate()',
      fix: `await migrate({ pool, schema: '${tables.schema}' }), or --schema with the schema that the pods use`
    });
  } else {
    findings.fatal('migrations', `${what}, and the user ${String(found.name)} may not create it`, {
      why: 'pods do not start, or answer every request with 503',
      fix: `GRANT CREATE ON DATABASE ${String(found.database)} TO ${String(found.name)}, or call migrate() once as another user`
    });
  }
  return false;
}

/** Asks for the rights on each table, then opens, changes and ends a session. */
async function checkRights(pool: Pool, target: PostgresTarget, name: string, findings: Findings): Promise<boolean> {
  const { tables, options } = target;
  const { sessions, subscriptions, locks, messages, streams, events, tasks, taskMessages } = tables;
  const all = [sessions, subscriptions, locks, messages, streams, events, tasks, taskMessages];
  const [usage] = await rowsOf(pool, `select has_schema_privilege($1, 'usage') as may`, [tables.schema]);
  const lacking = await rowsOf(
    pool,
    `select t as "table", string_agg(p, ', ') as rights from unnest($1::text[]) as t, unnest($2::text[]) as p
      where not case when to_regclass(t) is null then true else has_table_privilege(t, p) end group by t order by t`,
    [all, RIGHTS]
  ).catch(() => []);
  if (!usage?.may || lacking.length > 0) {
    const what = usage?.may
      ? lacking.map(row => `${String(row.rights)} on ${String(row.table)}`).join('; ')
      : `usage of the schema`;
    lacks(what, name, target, findings);
    return false;
  }
  const store = new PostgresSessionStore({ pool, schema: options.schema, table: options.table });
  const sessionId = `doctor-${globalThis.crypto.randomUUID()}`;
  const now = Date.now();
  try {
    await store.storeSession(sessionId, { sessionId, initialized: true, createdAt: now, lastActivity: now });
    await store.touchSession(sessionId);
    await store.putState(sessionId, 'doctor');
    await store.acquireLock(sessionId, 'doctor', 1000);
    await store.releaseLock(sessionId, 'doctor');
    findings.ok('rights', 'a session was opened, changed, locked and ended');
    return true;
  } catch (error) {
    findings.fatal('rights', (error as Error).message, {
      why: 'requests are answered 503',
      fix: 'correct what the message names; the log of Postgres has the statement'
    });
    return false;
  } finally {
    await store.deleteSession(sessionId).catch(() => {});
  }
}

function lacks(what: string, name: string, { tables }: PostgresTarget, findings: Findings): void {
  const schema = `"${tables.schema}"`;
  findings.fatal('rights', `the user ${name} lacks ${what}`, {
    why: 'requests that need it are answered 503',
    fix: `GRANT USAGE ON SCHEMA ${schema} TO ${name}; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${name}`
  });
}

/** How many rows there are, how old, and whether vacuum removes what has expired. */
export async function checkRows(pool: Pool, { tables }: PostgresTarget, findings: Findings): Promise<void> {
  const [facts] = await rowsOf(
    pool,
    `select s.n_live_tup::text as live, s.n_dead_tup::text as dead, pg_total_relation_size($1)::text as size,
      (select count(*)::text from (select from ${tables.sessions} where not deleted and expires_at > now() limit 100000) as x) as sessions,
      (select min(created_at)::text from (select created_at from ${tables.sessions} where not deleted and expires_at > now() limit 1000) as x) as oldest
    from pg_stat_user_tables as s where s.relid = $1::regclass`,
    [tables.sessions]
  );
  if (!facts) return;
  const { live, dead, size, sessions, oldest } = facts as Record<string, string | null>;
  const known =
    oldest === null || oldest === undefined
      ? ''
      : `, of 1000 of them the oldest is ${age(Date.now() - Number(oldest))}`;
  findings.ok('sessions', `${sessions} sessions${known}; the table has ${bytes(Number(size))}`);
  if (Number(dead) > MIN_DEAD && Number(dead) > BLOATED * Number(live)) {
    findings.warning('vacuum', `${dead} dead rows for ${live} live ones`, {
      why: 'each request updates a row; without vacuum, the table grows and requests get slower',
      fix: `ALTER TABLE ${tables.sessions} SET (autovacuum_vacuum_scale_factor = 0.05), and look for old transactions in pg_stat_activity`
    });
  }
}

async function rowsOf(pool: Pool, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  return (await pool.query<Record<string, unknown>>(text, values)).rows;
}
