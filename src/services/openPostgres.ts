import type { Pool } from 'pg';
import { AnypodError, BackendUnavailableError } from '../errors.js';
import { PostgresEventStore } from '../backends/postgres/eventStore.js';
import { migrate } from '../backends/postgres/migrate.js';
import { PostgresSessionBus } from '../backends/postgres/sessionBus.js';
import { PostgresSessionStore } from '../backends/postgres/sessionStore.js';
import { type Backend, loaded } from './backend.js';
import { postgresTasks } from './openTasks.js';
import type { BackendOptions } from './options.js';
import { notEncoded, parseUrl } from './backendUrl.js';

const BY = 'DATABASE_URL';
const FORM = 'postgres://user:password@host:port/database';

/**
 * Keeps everything in one Postgres, with its own `pg` pool. Creates missing tables.
 * @throws BackendUnavailableError, InvalidOptionError, StoreSchemaError
 */
export async function openPostgres(databaseUrl: string, options: BackendOptions): Promise<Backend> {
  const shown = shownPostgresUrl(databaseUrl);
  const { Pool } = await loadPg();
  const pool = new Pool({ connectionString: databaseUrl, connectionTimeoutMillis: options.connectTimeoutMs });
  const { ttlSeconds, onLog, table } = options;
  pool.on('error', error => onLog('warn', `Postgres: ${error.message}`));
  try {
    await pool.query('select 1');
    await migrate({ pool, table });
  } catch (error) {
    await pool.end();
    // It accepts a plain %, but not an encoded byte sequence that is not UTF-8.
    if (error instanceof URIError) throw notEncoded(BY, FORM);
    throw error instanceof AnypodError ? error : postgresFailure(shown, error as Error);
  }
  return {
    sessionStore: new PostgresSessionStore({ pool, ttlSeconds, onLog, table }),
    sessionBus: new PostgresSessionBus({ pool, onLog, table }),
    eventStore: new PostgresEventStore({ pool, ttlSeconds, onLog }),
    ...postgresTasks({ pool, onLog }),
    close: () => pool.end()
  };
}

/** The address for messages: without user and password. @throws InvalidOptionError */
export function shownPostgresUrl(databaseUrl: string, by = BY): string {
  const url = parseUrl(by, databaseUrl, FORM, ({ protocol }) => /^postgres(ql)?:$/.test(protocol));
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** @throws BackendUnavailableError if it is not installed */
export async function loadPg(): Promise<{ Pool: typeof Pool }> {
  try {
    const pg = (await import('#pg')) as { default?: { Pool: typeof Pool }; Pool?: typeof Pool };
    return loaded({ Pool: (pg.Pool ?? pg.default?.Pool) as typeof Pool }, 'pg', 'Pool');
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    throw new BackendUnavailableError('The package pg is not installed: npm install pg', { cause: error });
  }
}

/** What is wrong with a Postgres that does not answer or refuses, and what to do. */
export function postgresFailure(
  shown: string,
  error: Error & { code?: string; errors?: Error[] }
): BackendUnavailableError {
  // An error about several addresses has its texts in `errors`.
  const text = error.message || error.errors?.map(({ message }) => message).join(', ');
  // Postgres' own errors have a five-character code (appendix A of its manual). Then the server is reachable.
  return /^[0-9A-Z]{5}$/.test(error.code ?? '')
    ? new BackendUnavailableError(
        `Postgres at ${shown} refuses the connection (${text}): check user, password and database in DATABASE_URL`
      )
    : new BackendUnavailableError(
        `No Postgres answers at ${shown} (${text}): start one, or set DATABASE_URL to its address`,
        { unreachable: true }
      );
}
