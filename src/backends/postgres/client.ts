/** A row as every statement of this package asks for it: nothing but text, so that no type parser of yours matters. */
export type PostgresRow = Record<string, string | null>;

/** What `query` of `pg` resolves with. */
export interface PostgresResult {
  /** The rows of the result, one object each. */
  rows: unknown[];
}

/**
 * The methods of a `pg` (8) `Pool` that this package uses. The pool is handed in, and stays its owner's to configure and
 * to close. An idle connection that breaks is replaced, and no error of the pool ends the process.
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

/** A connection of our own, made as the pool makes its connections. */
export interface PostgresListenClient {
  connect(): Promise<unknown>;
  query(text: string): Promise<unknown>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  on(event: 'notification', listener: (notification: { channel: string; payload?: string }) => void): unknown;
  end(): Promise<void>;
}

/** What a `Pool` also has: the class of its connections, and their configuration with the password in it. */
interface PoolInside {
  Client?: new (options: unknown) => PostgresListenClient;
  options?: unknown;
}

/** A connection beside the pool, with the pool's configuration; not connected yet. */
export function newListenClient(pool: PostgresPool): PostgresListenClient {
  const { Client, options } = pool as PoolInside;
  if (typeof Client !== 'function')
    throw new TypeError('The pool does not tell how it connects: is it a Pool of pg 8?');
  return new Client(options);
}

const guarded = new WeakSet<PostgresPool>();

/** Without a listener, an idle connection that breaks would end the process. The next query tells what is wrong. */
export function guardPool(pool: PostgresPool, onLog: (level: 'warn', message: string) => void): void {
  if (guarded.has(pool)) return;
  guarded.add(pool);
  pool.on('error', error => onLog('warn', `an idle connection to Postgres broke: ${error.message}`));
}
