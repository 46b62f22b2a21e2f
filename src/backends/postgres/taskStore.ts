import type { Task } from '../../tasks/sdkTasks.js';
import { SharedTaskStore, type TaskChange, type TaskPage, type TaskTable } from '../../tasks/sharedTaskStore.js';
import { DEFAULT_MAX_TTL_MS, type FixedFields, type NewTask } from '../../tasks/taskRules.js';
import { checkNumber } from '../../validate.js';
import type { PostgresRow } from './client.js';
import { Database, type PostgresOptions } from './database.js';
import { Sweeper } from './sweeper.js';
import { sessionColumn, taskSql } from './taskSql.js';
import { toText, fromText } from './text.js';

/** The options of a {@link PostgresTaskStore}. */
export interface PostgresTaskStoreOptions extends PostgresOptions {
  /**
   * The longest time to live, in milliseconds. A task that asks for more gets this. A task without limit (`ttl` is null,
   * or 0) is kept for this time after its last change.
   * @default 86400000 (24 hours)
   */
  maxTtlMs?: number;
}

/** The longest time to live that Postgres can add to a time. */
export const LONGEST_TTL_MS = 1_000_000_000_000;

/**
 * The tasks of the SDK in Postgres 12 or later, so that every pod can report them. The work of a task stays in the
 * process that started it. If that process ends, the task keeps its last status until its time to live is over.
 *
 * A task belongs to the session that created it, and is missing for any other session. Without a session id, only
 * tasks that were created without one exist. Inside a handler, `extra.taskStore` passes the id.
 *
 * The time to live starts with the creation, and restarts when the task ends. Call `migrate()` once before use.
 */
export class PostgresTaskStore extends SharedTaskStore {
  /** @throws InvalidOptionError */
  constructor(options: PostgresTaskStoreOptions) {
    super(new PostgresTasks(options), options.maxTtlMs ?? DEFAULT_MAX_TTL_MS);
  }
}

/** The table of tasks. */
class PostgresTasks implements TaskTable {
  readonly #database: Database;
  readonly #sql: ReturnType<typeof taskSql>;
  readonly #sweeper: Sweeper;

  constructor(options: PostgresTaskStoreOptions) {
    this.#database = new Database({ ...options, table: undefined }, Error);
    checkNumber('maxTtlMs', options.maxTtlMs, { min: 1, max: LONGEST_TTL_MS, integer: true });
    this.#sql = taskSql(this.#database.tables);
    this.#sweeper = new Sweeper(this.#database, [this.#sql.sweepTasks], 60_000);
  }

  async create({ task, fixed, lifetimeMs }: NewTask, sessionId: string | undefined): Promise<void> {
    const values = [fixed.createdAt, JSON.stringify(fixed), lifetimeMs, !fixed.ttl];
    await this.#query(this.#sql.create, task.taskId, sessionId, ...values);
  }

  async read(taskId: string, sessionId: string | undefined): Promise<Task | null> {
    const [row] = await this.#query(this.#sql.get, taskId, sessionId);
    return row ? toTask(row) : null;
  }

  async readResult(taskId: string, sessionId: string | undefined): Promise<string | null | undefined> {
    const [row] = await this.#query(this.#sql.result, taskId, sessionId);
    return row && (typeof row.result === 'string' ? row.result : null);
  }

  async update(
    taskId: string,
    sessionId: string | undefined,
    { status, isEnd, lastUpdatedAt, statusMessage, result }: TaskChange
  ): Promise<'changed' | 'missing' | { endedAs: string }> {
    const message = statusMessage === undefined ? null : toText(statusMessage);
    const values = [status, message, lastUpdatedAt, isEnd, result ?? null];
    const [row] = await this.#query(this.#sql.update, taskId, sessionId, ...values);
    if (!row) return 'missing';
    return row.ended === 'true' ? { endedAs: String(row.status) } : 'changed';
  }

  async page(cursor: string, sessionId: string | undefined, size: number): Promise<TaskPage | undefined> {
    // One more than a page, to see whether there is another page.
    const rows = await this.#query(this.#sql.list, cursor, sessionId, size + 1);
    if (rows[0]?.found === null) return undefined;
    const found = rows.filter(row => row.task_id !== null).map(toTask);
    const tasks = found.slice(0, size);
    return { tasks, nextCursor: found.length > size ? tasks.at(-1)?.taskId : undefined };
  }

  async #query(
    text: string,
    taskId: string,
    sessionId: string | undefined,
    ...values: unknown[]
  ): Promise<PostgresRow[]> {
    const rows = await this.#database.query(text, [sessionColumn(sessionId), toText(taskId), ...values]);
    this.#sweeper.occasion();
    return rows;
  }
}

function toTask(row: PostgresRow): Task {
  const { task_id: taskId, status, status_message: statusMessage, last_updated_at: lastUpdatedAt, fixed } = row;
  const task: Task = {
    taskId: String(taskId),
    status: status as Task['status'],
    ...(JSON.parse(String(fixed)) as FixedFields),
    lastUpdatedAt: String(lastUpdatedAt)
  };
  if (typeof statusMessage === 'string') task.statusMessage = fromText(statusMessage);
  return task;
}
