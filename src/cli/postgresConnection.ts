import type { Pool } from 'pg';
import { AnypodError, BackendUnavailableError } from '../errors.js';
import { Tables } from '../backends/postgres/tables.js';
import { loadPg, postgresFailure, shownPostgresUrl } from '../services/openPostgres.js';
import type { StorageOptions } from './storage.js';

/** A Postgres that the command line names. */
export interface PostgresTarget {
  readonly url: string;
  /** For messages: without user and password. */
  readonly shown: string;
  readonly tables: Tables;
  readonly options: StorageOptions;
}

/** @throws InvalidOptionError */
export function postgresTarget(options: StorageOptions): PostgresTarget {
  const { address: url, by } = options.selection;
  const { schema, table } = options;
  return { url, shown: shownPostgresUrl(url, by), tables: new Tables({ schema, table }), options };
}

/** A pool with which a query has worked. The user ends it. @throws the client's error */
export async function connectPostgres({ url, options }: PostgresTarget): Promise<Pool> {
  const { Pool } = await loadPg();
  const { timeoutMs } = options;
  const pool = new Pool({
    connectionString: url,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    application_name: 'mcp-sdk-anypod',
    max: 4
  });
  // A broken idle connection is replaced; the next query reports the error.
  pool.on('error', () => {});
  try {
    await pool.query('select 1');
    return pool;
  } catch (error) {
    await pool.end();
    throw error;
  }
}

/** A pool of a database that has the tables of sessions. Creates nothing. @throws BackendUnavailableError */
export async function connectTables(target: PostgresTarget): Promise<Pool> {
  let pool: Pool;
  try {
    pool = await connectPostgres(target);
  } catch (error) {
    throw error instanceof AnypodError ? error : postgresFailure(target.shown, error as Error);
  }
  const { rows } = await pool.query<{ found: boolean }>('select to_regclass($1) is not null as found', [
    target.tables.sessions
  ]);
  if (rows[0]?.found) return pool;
  await pool.end();
  throw new BackendUnavailableError(
    `Postgres at ${target.shown} has no table ${target.tables.sessions}: give --schema and --table as the pods have them, or start a pod, which creates it`
  );
}
