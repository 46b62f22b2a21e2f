import { withDeadline } from '../../deadline.js';
import { BusUnavailableError } from '../../errors.js';
import { messageOf } from '../../log.js';
import type { SessionBus } from '../../ports/sessionBus.js';
import { TopicListeners } from '../shared/topicListeners.js';
import { busSql } from './busSql.js';
import { Database, type PostgresOptions } from './database.js';
import { Listener } from './listener.js';
import { Sweeper } from './sweeper.js';
import type { TableNames } from './tables.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** The options of a {@link PostgresSessionBus}. */
export interface PostgresSessionBusOptions extends PostgresOptions, TableNames {}

/** Postgres refuses a NOTIFY of 8000 bytes. */
const MAX_PAYLOAD_BYTES = 7999;
/** Messages per statement, and the number of characters after which no more are added to it. */
const MAX_BATCH = 200;
const MAX_BATCH_LENGTH = 1_000_000;
/** Messages that may wait for earlier ones. Above that, Postgres is treated as down. */
const MAX_WAITING = 10_000;
const PUBLISH_MS = 10_000;
const FETCH_MS = 5000;

/** The payload: a message, or the key of one that is too long. `p` and `n` make each payload unique. */
type Payload = { p: string; n: number } & (Message | { kept: true });

interface Message {
  topic: string;
  message: string;
}

interface Waiting extends Message {
  resolve: () => void;
  reject: (error: Error) => void;
}

/**
 * LISTEN and NOTIFY of Postgres. All topics share one channel, so a subscription costs nothing once the bus listens.
 * Every bus receives all messages and passes on those for its own topics. Messages of 8000 bytes and more are stored in
 * a table and fetched from there. One connection listens. It opens with the first subscription and reconnects by
 * itself. Publishing uses the pool, one statement at a time, which keeps the order.
 *
 * A pool through PgBouncer in transaction mode cannot listen: give the bus a pool that connects to Postgres directly.
 */
export class PostgresSessionBus implements SessionBus {
  readonly #database: Database;
  readonly #sql: ReturnType<typeof busSql>;
  readonly #sweeper: Sweeper;
  readonly #listeners = new TopicListeners(thrown =>
    this.#database.onLog('warn', `a listener of the bus threw: ${messageOf(thrown)}`)
  );
  readonly #publisher = globalThis.crypto.randomUUID();
  #sent = 0;
  #waiting: Waiting[] = [];
  #sending = false;
  #listener: Listener | undefined;
  /** Resolves when all received messages are passed on; undefined if none needs to be fetched. */
  #arrivals: Promise<void> | undefined;
  #closed = false;

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: PostgresSessionBusOptions) {
    keepSelf(this);
    this.#database = new Database(options, BusUnavailableError);
    this.#sql = busSql(this.#database.tables);
    this.#sweeper = new Sweeper(this.#database, [this.#sql.sweep], 30_000);
  }

  publish(topic: string, message: string): Promise<void> {
    if (this.#closed) return Promise.reject(new BusUnavailableError('The bus was closed'));
    if (this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(new BusUnavailableError(`${MAX_WAITING} messages wait for Postgres already`));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ topic, message, resolve, reject });
      if (!this.#sending) void this.#send();
    });
  }

  async subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    if (this.#closed) throw new BusUnavailableError('The bus was closed');
    const { pool, tables, onLog } = this.#database;
    this.#listeners.add(topic, listener);
    this.#listener ??= new Listener(pool, tables, this.#sql.listen, payload => this.#onText(payload), onLog);
    await this.#listener.listening;
    return async () => void this.#listeners.remove(topic, listener);
  }

  /** Whether `close` has been called. */
  get closed(): boolean {
    return this.#closed;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listeners.clear();
    await this.#listener?.close();
  }

  /** Sends the waiting messages in order: one statement at a time, including messages added in the meantime. */
  async #send(): Promise<void> {
    this.#sending = true;
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      const values = this.#encode(batch);
      try {
        await withDeadline(() => this.#database.query(this.#sql.publish, values), PUBLISH_MS);
        for (const { resolve } of batch) resolve();
        this.#sweeper.occasion();
      } catch (error) {
        const cause = error as Error;
        const failed =
          cause instanceof BusUnavailableError ? cause : new BusUnavailableError('Postgres is late', { cause });
        for (const { reject } of batch) reject(failed);
      }
    }
    this.#sending = false;
  }

  #takeBatch(): Waiting[] {
    let length = 0;
    const end = this.#waiting.findIndex(({ message }, index) => {
      const full = index >= MAX_BATCH || length >= MAX_BATCH_LENGTH;
      length += message.length;
      return full;
    });
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : end);
  }

  /** The values of the statement that publishes. */
  #encode(batch: Message[]): [payloads: string[], ids: string[], bodies: string[]] {
    const [payloads, ids, bodies]: [string[], string[], string[]] = [[], [], []];
    for (const { topic, message } of batch) {
      const key = { p: this.#publisher, n: ++this.#sent };
      let payload = JSON.stringify({ ...key, topic, message } satisfies Payload);
      if (!fits(payload)) {
        ids.push(idOf(key));
        bodies.push(JSON.stringify({ topic, message } satisfies Message));
        payload = JSON.stringify({ ...key, kept: true } satisfies Payload);
      }
      payloads.push(payload);
    }
    return [payloads, ids, bodies];
  }

  #onText(text: string): void {
    const payload = parsePayload(text);
    if (!payload)
      return this.#database.onLog('warn', 'dropped a NOTIFY on the channel of the bus that is not a message');
    const arrived = 'id' in payload ? this.#fetch(payload.id) : payload;
    if (!this.#arrivals && !(arrived instanceof Promise)) return this.#listeners.emit(arrived.topic, arrived.message);
    // Messages of a publisher keep their order: this one waits if an earlier one is still being fetched.
    const before = this.#arrivals ?? Promise.resolve();
    const arrivals = before
      .then(() => arrived)
      .then(received => received && this.#listeners.emit(received.topic, received.message))
      .then(() => {
        if (this.#arrivals === arrivals) this.#arrivals = undefined;
      });
    this.#arrivals = arrivals;
  }

  /** Never rejects: a message that cannot be fetched is lost. */
  async #fetch(id: string): Promise<Message | undefined> {
    try {
      const [row] = await withDeadline(() => this.#database.query(this.#sql.fetch, [id]), FETCH_MS);
      const message = typeof row?.body === 'string' ? parseObject(row.body) : undefined;
      if (isMessage(message)) return message;
      const reason = row ? 'what is stored is not a message' : 'it was removed before it was fetched';
      this.#database.onLog('warn', `a long message of the bus is lost: ${reason}`);
    } catch (error) {
      this.#database.onLog('warn', `a long message of the bus is lost: ${messageOf(error)}`);
    }
    return undefined;
  }
}

/**
 * Any role that may connect to the database can send a NOTIFY on the channel, so a payload may be anything.
 * @returns the message, or the id of a stored message; undefined if it is neither
 */
function parsePayload(text: string): Message | { id: string } | undefined {
  const payload = parseObject(text);
  if (isMessage(payload)) return payload;
  const { kept, p, n } = payload ?? {};
  return kept === true && typeof p === 'string' && typeof n === 'number' ? { id: idOf({ p, n }) } : undefined;
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function isMessage(value: Partial<Record<keyof Message, unknown>> | undefined): value is Message {
  return typeof value?.topic === 'string' && typeof value.message === 'string';
}

function idOf({ p, n }: { p: string; n: number }): string {
  return `${p}-${n}`;
}

/** Whether it is short enough for a NOTIFY, in UTF-8. */
function fits(payload: string): boolean {
  if (payload.length > MAX_PAYLOAD_BYTES) return false;
  return payload.length * 3 <= MAX_PAYLOAD_BYTES || new TextEncoder().encode(payload).length <= MAX_PAYLOAD_BYTES;
}
