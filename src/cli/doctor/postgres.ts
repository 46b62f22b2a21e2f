import type { Pool } from 'pg';
import { InvalidOptionError } from '../../errors.js';
import { PostgresSessionBus } from '../../backends/postgres/sessionBus.js';
import type { Findings } from '../finding.js';
import { connectPostgres, type PostgresTarget, postgresTarget } from '../postgresConnection.js';
import type { StorageOptions } from '../storage.js';
import { checkBus } from './bus.js';
import { checkClock, checkPing } from './clock.js';
import { checkPostgresError } from './postgresError.js';
import { checkServer } from './postgresServer.js';
import { checkRows, checkTables } from './postgresTables.js';

/** Examines a Postgres. @returns its name, for the first line */
export async function examinePostgres(options: StorageOptions, findings: Findings): Promise<string> {
  const target = postgresTarget(options);
  const title = `Postgres at ${target.shown}, schema ${target.tables.schema}, table ${target.tables.table}`;
  let pool: Pool;
  try {
    pool = await connectPostgres(target);
  } catch (error) {
    if (error instanceof InvalidOptionError) throw error;
    checkPostgresError(error as Error, target, findings);
    return title;
  }
  try {
    await examine(pool, target, findings);
  } finally {
    await pool.end();
  }
  return title;
}

async function examine(pool: Pool, target: PostgresTarget, findings: Findings): Promise<void> {
  await checkPing(async () => void (await pool.query('select 1')), target.shown, findings);
  if (!(await checkServer(pool, target, findings))) return;
  await checkClock(async () => timeOf(pool), 'Postgres', findings);
  if (!(await checkTables(pool, target, findings))) return;
  const { schema, table } = target.options;
  const bus = new PostgresSessionBus({ pool, schema, table });
  await checkBus(bus, findings, {
    why: 'answers of clients, cancellations and DELETE do not reach the other pods',
    fix: 'LISTEN does not work through PgBouncer in transaction or statement mode: give the bus a pool that connects to Postgres directly, sessionBus: new PostgresSessionBus({ pool: direct }), or set pool_mode = session'
  });
  await checkRows(pool, target, findings);
}

async function timeOf(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ ms: string }>(
    'select (extract(epoch from clock_timestamp()) * 1000)::text as ms'
  );
  return Number(rows[0]?.ms);
}
