import type { QueuedMessage, TaskMessageQueue } from '../../tasks/sdkTasks.js';
import { failRequests, pushMessage } from '../../tasks/taskMessages.js';
import { checkNumber } from '../../validate.js';
import { KeyedQueue } from '../shared/keyedQueue.js';
import { Database, type PostgresOptions } from './database.js';
import { Sweeper } from './sweeper.js';
import { sessionColumn, taskSql } from './taskSql.js';
import { DEFAULT_MAX_TTL_MS } from '../../tasks/taskRules.js';
import { LONGEST_TTL_MS } from './taskStore.js';
import { toText } from './text.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** The options of a {@link PostgresTaskMessageQueue}. */
export interface PostgresTaskMessageQueueOptions extends PostgresOptions {
  /** Milliseconds that a message is kept. @default 86400000 (24 hours) */
  ttlMs?: number;
}

/**
 * Messages of tasks for their client, kept until the client asks for the result, in Postgres 12 or later. Any pod
 * delivers them, and answers reach the pod that asked.
 *
 * A queue belongs to a task of a session, and is empty for any other session. Call `migrate()` once before use.
 */
export class PostgresTaskMessageQueue implements TaskMessageQueue {
  readonly #database: Database;
  readonly #sql: ReturnType<typeof taskSql>;
  readonly #sweeper: Sweeper;
  readonly #ttlMs: number;
  /** Stores one message of a task at a time: two connections of the pool could store two messages in any order. */
  readonly #writers = new KeyedQueue();

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: PostgresTaskMessageQueueOptions) {
    keepSelf(this);
    this.#database = new Database({ ...options, table: undefined }, Error);
    checkNumber('ttlMs', options.ttlMs, { min: 1, max: LONGEST_TTL_MS, integer: true });
    this.#sql = taskSql(this.#database.tables);
    this.#sweeper = new Sweeper(this.#database, [this.#sql.sweepMessages], 60_000);
    this.#ttlMs = options.ttlMs ?? DEFAULT_MAX_TTL_MS;
  }

  /** One round trip; five if the queue is limited. */
  async enqueue(taskId: string, message: QueuedMessage, sessionId?: string, maxSize?: number): Promise<void> {
    await pushMessage(message, sessionId, pushed => {
      const queue = queueOf(taskId, sessionId);
      return this.#writers.run(queue.join(' '), () => this.#insert(queue, JSON.stringify(pushed), maxSize));
    });
  }

  async dequeue(taskId: string, sessionId?: string): Promise<QueuedMessage | undefined> {
    const [row] = await this.#database.query(this.#sql.dequeue, queueOf(taskId, sessionId));
    return row ? (JSON.parse(String(row.body)) as QueuedMessage) : undefined;
  }

  /**
   * Empties the queue. Servers with requests in it are notified, on any pod; those requests are not returned.
   * Never rejects: the SDK calls it without waiting, and a rejection would end the process.
   */
  async dequeueAll(taskId: string, sessionId?: string): Promise<QueuedMessage[]> {
    try {
      const rows = await this.#database.query(this.#sql.dequeueAll, queueOf(taskId, sessionId));
      return await failRequests(
        rows.map(({ body }) => JSON.parse(String(body)) as QueuedMessage),
        sessionId
      );
    } catch (error) {
      this.#database.onLog('warn', `the messages of a task could not be removed: ${(error as Error).message}`);
      return [];
    }
  }

  async #insert(queue: readonly [string, string], text: string, maxSize: number | undefined): Promise<void> {
    const values = [...queue, text, this.#ttlMs];
    if (maxSize === undefined) {
      await this.#database.query(this.#sql.enqueue, values);
    } else {
      // Two statements, because a single one would see the queue as it was before it waited for its turn.
      await this.#database.transaction(async query => {
        await query(this.#sql.lockQueue, [...queue]);
        const [row] = await query(this.#sql.count, [...queue]);
        if (Number(row?.count) >= maxSize) {
          throw new Error(`Task message queue overflow: queue size (${row?.count}) exceeds maximum (${maxSize})`);
        }
        await query(this.#sql.enqueue, values);
      });
    }
    this.#sweeper.occasion();
  }
}

function queueOf(taskId: string, sessionId: string | undefined): [session: string, taskId: string] {
  return [sessionColumn(sessionId), toText(taskId)];
}
