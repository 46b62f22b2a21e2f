import { logTo, type OnLog } from '../../log.js';
import { checkFunction, checkMethods, checkOptionsObject } from '../../validate.js';
import { guardPool, POSTGRES_POOL_METHODS, type PostgresPool, type PostgresRow } from './client.js';
import { type TableNames, Tables } from './tables.js';

/** The options of all classes on Postgres. */
export interface PostgresOptions extends Pick<TableNames, 'schema'> {
  /** A `Pool` of `pg` 8. You configure it, and end it after everything that uses it. */
  pool: PostgresPool;
  /** Receives background events and errors, for logs and metrics. Contains no session id. @default nothing is logged */
  onLog?: OnLog;
}

/** The names of the options of all classes on Postgres, because an object of options often serves several classes. */
const OPTION_NAMES: Readonly<Record<keyof PostgresOptions | keyof TableNames, true> & Record<string, true>> = {
  pool: true,
  onLog: true,
  schema: true,
  table: true,
  ttlSeconds: true,
  maxEventsPerStream: true,
  answeredTtlSeconds: true,
  maxTtlMs: true,
  ttlMs: true
};

/** SQLSTATE of a statement that conflicts with a concurrent change, under `repeatable read` or `serializable`. */
const SERIALIZATION_FAILURE = '40001';
/** SQLSTATE of a statement that Postgres has rolled back to end a deadlock. */
const DEADLOCK = '40P01';
/** Attempts for a statement that ends in deadlocks. */
const MAX_ATTEMPTS = 3;

type Unavailable = new (message: string, options: { cause?: unknown }) => Error;

/** The pool. Its errors say what to do, and never contain the values of a statement. */
export class Database {
  readonly pool: PostgresPool;
  readonly tables: Tables;
  readonly onLog: OnLog;
  readonly #Unavailable: Unavailable;

  /**
   * @param Unavailable - the class of its errors
   * @throws InvalidOptionError
   */
  constructor(options: PostgresOptions & TableNames, Unavailable: Unavailable) {
    checkOptionsObject('options', options, OPTION_NAMES);
    checkMethods('pool', options.pool, POSTGRES_POOL_METHODS, 'a Pool of pg');
    checkFunction('onLog', options.onLog);
    this.pool = options.pool;
    this.tables = new Tables(options);
    this.onLog = logTo(options.onLog);
    this.#Unavailable = Unavailable;
    guardPool(this.pool, this.onLog);
  }

  /** Runs one statement in one round trip. */
  async query(text: string, values: unknown[] = []): Promise<PostgresRow[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return (await this.pool.query(text, values)).rows as PostgresRow[];
      } catch (error) {
        const { code } = (error ?? {}) as Partial<PostgresError>;
        // Happens only above `read committed`: the pool has another default isolation level. Nothing was changed.
        if (code === SERIALIZATION_FAILURE) return this.transaction(query => query(text, values));
        if (code !== DEADLOCK || attempt === MAX_ATTEMPTS) throw this.unavailable(error);
      }
    }
  }

  /**
   * Runs several statements in one transaction on one connection. The isolation level is always `read committed`,
   * whatever the default of the connection is.
   */
  async transaction<T>(run: (query: (text: string, values?: unknown[]) => Promise<PostgresRow[]>) => Promise<T>) {
    const client = await this.pool.connect().catch((error: unknown) => {
      throw this.unavailable(error);
    });
    // If the connection breaks between two statements, only this event reports it.
    let broken = false;
    const onerror = (): void => void (broken = true);
    client.on('error', onerror);
    const query = async (text: string, values: unknown[] = []): Promise<PostgresRow[]> => {
      try {
        return (await client.query(text, values)).rows as PostgresRow[];
      } catch (error) {
        throw this.unavailable(error);
      }
    };
    try {
      await query('begin isolation level read committed');
      const result = await run(query);
      await query('commit');
      return result;
    } catch (error) {
      await client.query('rollback').catch(() => (broken = true));
      throw error;
    } finally {
      client.removeListener('error', onerror);
      client.release(broken);
    }
  }

  unavailable(error: unknown): Error {
    return new this.#Unavailable(explain(error, this.tables.schema), { cause: withoutValues(error) });
  }
}

interface PostgresError extends Error {
  code?: string;
  detail?: string;
  where?: string;
  internalQuery?: string;
}

/** Removes the fields in which Postgres shows rows and values: session ids and records must not be logged. */
function withoutValues(error: unknown): unknown {
  if (error instanceof Error) {
    const shown = error as PostgresError;
    delete shown.detail;
    delete shown.where;
    delete shown.internalQuery;
  }
  return error;
}

/** Describes the error and how to fix it. */
export function explain(error: unknown, schema: string): string {
  const { code, message } = (error ?? {}) as Partial<PostgresError>;
  const what = adviceFor(code, schema) ?? (message && outOfTime.test(message) ? noConnection : undefined);
  if (what !== undefined) return code === undefined ? what : `${what} (${code})`;
  return code === undefined ? `Postgres failed: ${message}` : `Postgres failed (${code})`;
}

/** Messages of pg-pool and pg if `connectionTimeoutMillis` runs out: three different texts, without a code. */
const outOfTime = /^timeout exceeded|^timeout expired|due to connection timeout/;

const noConnection =
  "Postgres gave no connection in time: the pool's are all in use (`max`), or the server does not answer";

function adviceFor(code: string | undefined, schema: string): string | undefined {
  switch (code) {
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return 'Postgres cannot be reached: check the host and port of the pool, and that the server runs there';
    case '28P01':
    case '28000':
      return 'Postgres refused the login: check the user and password of the pool, and pg_hba.conf';
    case '3D000':
      return 'The database that the pool names does not exist: create it, or name another';
    case '3F000':
    case '42P01':
    case '42703':
      return `The schema "${schema}" lacks the tables of this version: call migrate({ pool, schema }) before pods serve`;
    case '42501':
      return `The user of the pool may not do this in the schema "${schema}": grant it, or migrate() as its owner`;
    case '53300':
      return "Postgres has no connection left: lower the pool's `max`, or raise max_connections";
    case '25006':
      return 'Postgres takes no writes here: point the pool at the primary';
    case '57P01':
    case '57P02':
    case '57P03':
      return 'Postgres is shutting down or starting';
    default:
      return undefined;
  }
}
