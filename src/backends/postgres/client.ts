/** A row of a query. Every query of this package selects text only, so your type parsers do not matter. */
export type PostgresRow = Record<string, string | null>;

/** The result of `query` in `pg`. */
export interface PostgresResult {
  /** The rows of the result, one object each. */
  rows: unknown[];
}

/**
 * The methods of a `pg` (8) `Pool` that this package uses. The application creates, configures and closes the pool.
 * If an idle connection breaks, it is replaced. Errors of the pool do not end the process.
 */
export interface PostgresPool {
  /** Runs one statement on any connection of the pool. */
  query(text: string, values?: unknown[]): Promise<PostgresResult>;
  /** Takes a connection from the pool. */
  connect(): Promise<PostgresPoolClient>;
  /** Listens to errors of idle connections. */
  on(event: 'error', listener: (error: Error) => void): unknown;
}

export const POSTGRES_POOL_METHODS = ['query', 'connect', 'on'] as const;

/** A connection that was taken from the pool. */
export interface PostgresPoolClient {
  /** Runs one statement on this connection. */
  query(text: string, values?: unknown[]): Promise<PostgresResult>;
  /** Listens to errors of this connection. */
  on(event: 'error', listener: (error: Error) => void): unknown;
  /** Stops listening to errors. */
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
  /** Returns the connection to the pool, or closes it. */
  release(destroy?: boolean): void;
}

/** A separate connection, configured like the connections of the pool. */
export interface PostgresListenClient {
  connect(): Promise<unknown>;
  query(text: string): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  on(event: 'notification', listener: (notification: { channel: string; payload?: string }) => void): unknown;
  end(): Promise<void>;
}

/** Further properties of a `Pool`: the class of its connections, and their configuration including the password. */
interface PoolInside {
  Client?: new (options: unknown) => PostgresListenClient;
  options?: unknown;
}

/** A connection outside the pool, with the configuration of the pool; not connected yet. */
export function newListenClient(pool: PostgresPool): PostgresListenClient {
  const { Client, options } = pool as PoolInside;
  if (typeof Client !== 'function')
    throw new TypeError('The pool does not show how it connects: is it a Pool of pg 8?');
  return new Client(options);
}

const guarded = new WeakSet<PostgresPool>();

/** Without a listener, a broken idle connection would end the process. The next query reports the error. */
export function guardPool(pool: PostgresPool, onLog: (level: 'warn', message: string) => void): void {
  if (guarded.has(pool)) return;
  guarded.add(pool);
  pool.on('error', error => onLog('warn', `an idle connection to Postgres broke: ${error.message}`));
}
