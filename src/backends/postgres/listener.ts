import { unref, withDeadline } from '../../deadline.js';
import { BusUnavailableError } from '../../errors.js';
import { newListenClient, type PostgresListenClient, type PostgresPool } from './client.js';
import type { OnLog } from '../../log.js';
import { explain } from './database.js';
import type { Tables } from './tables.js';
import { clearInterval, clearTimeout, setInterval, setTimeout } from '../../timers.js';

const CONNECT_MS = 10_000;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 5000;
/** The interval of a check that detects silently dropped connections and keeps idle ones open. */
const HEARTBEAT_MS = 30_000;

/** One connection that listens to one channel. If it is lost, it reconnects until it succeeds. */
export class Listener {
  readonly #pool: PostgresPool;
  readonly #tables: Tables;
  readonly #statement: string;
  readonly #onpayload: (payload: string) => void;
  readonly #onLog: OnLog;
  #client: PostgresListenClient | undefined;
  #listening: Promise<void>;
  #settle!: { resolve: () => void; reject: (error: Error) => void };
  #failures = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #closed = false;

  /** @param statement - the LISTEN */
  constructor(
    pool: PostgresPool,
    tables: Tables,
    statement: string,
    onpayload: (payload: string) => void,
    onLog: OnLog
  ) {
    this.#pool = pool;
    this.#tables = tables;
    this.#statement = statement;
    this.#onpayload = onpayload;
    this.#onLog = onLog;
    this.#listening = this.#pending();
    void this.#connect();
  }

  /** Resolves when the connection listens, however long that takes. Rejects if it is closed before. */
  get listening(): Promise<void> {
    return this.#listening;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    clearInterval(this.#heartbeat);
    this.#settle.reject(new BusUnavailableError('The bus was closed'));
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => {});
  }

  #pending(): Promise<void> {
    const pending = new Promise<void>((resolve, reject) => (this.#settle = { resolve, reject }));
    // There may be no caller that waits.
    pending.catch(() => {});
    return pending;
  }

  async #connect(): Promise<void> {
    let client: PostgresListenClient | undefined;
    try {
      client = newListenClient(this.#pool);
      const own = (this.#client = client);
      own.on('error', error => this.#lost(own, error));
      own.on('end', () => this.#lost(own, new Error('it ended')));
      own.on('notification', ({ payload }) => {
        if (this.#client === own) this.#onpayload(payload ?? '');
      });
      await withDeadline(() => own.connect(), CONNECT_MS);
      await withDeadline(() => own.query(this.#statement), CONNECT_MS);
      // The connection may have been lost or closed since.
      if (this.#client !== own) return;
      this.#failures = 0;
      this.#heartbeat = setInterval(() => this.#beat(own), HEARTBEAT_MS);
      unref(this.#heartbeat);
      this.#settle.resolve();
    } catch (error) {
      if (client) this.#lost(client, error as Error);
      else this.#retryLater(error as Error);
    }
  }

  #beat(client: PostgresListenClient): void {
    withDeadline(() => client.query(this.#statement), CONNECT_MS).catch((error: Error) => this.#lost(client, error));
  }

  /** Runs once per connection. */
  #lost(client: PostgresListenClient, error: Error): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    clearInterval(this.#heartbeat);
    // The connection may be half open or still connecting.
    client.end().catch(() => {});
    if (this.#failures === 0) this.#listening = this.#renewed();
    this.#retryLater(error);
  }

  /** Callers that wait for the first connection continue to wait for this one. */
  #renewed(): Promise<void> {
    const { resolve, reject } = this.#settle;
    const renewed = this.#pending();
    renewed.then(resolve, reject);
    return renewed;
  }

  #retryLater(error: Error): void {
    if (this.#closed) return;
    const delay = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++) * (0.5 + Math.random() / 2);
    this.#onLog('warn', `the bus does not listen: ${explain(error, this.#tables.schema)}`);
    this.#retry = setTimeout(() => void this.#connect(), delay);
    unref(this.#retry);
  }
}
