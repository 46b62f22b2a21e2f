import { type CreateTaskOptions, isTerminal, type TaskStore } from 'mcp-sdk-upstream/experimental/tasks/interfaces.js';
import type { Request, RequestId, Result, Task } from 'mcp-sdk-upstream/types.js';
import { RunningTasks } from '../../tasks/runningTasks.js';
import {
  DEFAULT_MAX_TTL_MS,
  type FixedFields,
  newTask,
  noResult,
  resultRefused,
  statusRefused,
  taskNotFound,
  type TaskPage
} from '../../tasks/taskRules.js';
import { checkNumber } from '../../validate.js';
import type { PostgresRow } from './client.js';
import { Database, type PostgresOptions } from './database.js';
import { Sweeper } from './sweeper.js';
import { sessionColumn, taskSql } from './taskSql.js';
import { toText, fromText } from './text.js';
import { Date } from '../../timers.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

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
const PAGE_SIZE = 10;

/**
 * The tasks of the SDK in Postgres 12 or later, so that every pod can report them. The work of a task stays in the
 * process that started it. If that process ends, the task keeps its last status until its time to live is over.
 *
 * A task belongs to the session that created it, and is missing for any other session. Without a session id, only
 * tasks that were created without one exist. Inside a handler, `extra.taskStore` passes the id.
 *
 * The time to live starts with the creation, and restarts when the task ends. Call `migrate()` once before use.
 */
export class PostgresTaskStore implements TaskStore {
  readonly #database: Database;
  readonly #sql: ReturnType<typeof taskSql>;
  readonly #sweeper: Sweeper;
  readonly #maxTtlMs: number;
  readonly #running = new RunningTasks();

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: PostgresTaskStoreOptions) {
    keepSelf(this);
    this.#database = new Database({ ...options, table: undefined }, Error);
    checkNumber('maxTtlMs', options.maxTtlMs, { min: 1, max: LONGEST_TTL_MS, integer: true });
    this.#sql = taskSql(this.#database.tables);
    this.#sweeper = new Sweeper(this.#database, [this.#sql.sweepTasks], 60_000);
    this.#maxTtlMs = options.maxTtlMs ?? DEFAULT_MAX_TTL_MS;
  }

  async createTask(
    options: CreateTaskOptions,
    _requestId: RequestId,
    _request: Request,
    sessionId?: string
  ): Promise<Task> {
    const { task, fixed, lifetimeMs } = newTask(options, this.#maxTtlMs);
    const { taskId } = task;
    const values = [fixed.createdAt, JSON.stringify(fixed), lifetimeMs, !fixed.ttl];
    await this.#query(this.#sql.create, taskId, sessionId, ...values);
    this.#running.started(taskId, sessionId, () => this.getTask(taskId, sessionId));
    return task;
  }

  async getTask(taskId: string, sessionId?: string): Promise<Task | null> {
    const [row] = await this.#query(this.#sql.get, taskId, sessionId);
    const task = row ? toTask(row) : null;
    if (!task || isTerminal(task.status)) this.#running.ended(taskId);
    return task;
  }

  async storeTaskResult(
    taskId: string,
    status: 'completed' | 'failed',
    result: Result,
    sessionId?: string
  ): Promise<void> {
    const ended = await this.#update(taskId, sessionId, status, null, JSON.stringify(result));
    if (ended !== undefined) throw resultRefused(taskId, ended);
  }

  async getTaskResult(taskId: string, sessionId?: string): Promise<Result> {
    const [row] = await this.#query(this.#sql.result, taskId, sessionId);
    if (!row) throw taskNotFound(taskId);
    if (typeof row.result !== 'string') throw noResult(taskId);
    return JSON.parse(row.result) as Result;
  }

  async updateTaskStatus(
    taskId: string,
    status: Task['status'],
    statusMessage?: string,
    sessionId?: string
  ): Promise<void> {
    const ended = await this.#update(taskId, sessionId, status, statusMessage ? toText(statusMessage) : null, null);
    if (ended !== undefined) throw statusRefused(taskId, ended, status);
  }

  /** Ten tasks at a time, in the order of creation. The cursor is the id of the last task returned. */
  async listTasks(cursor?: string, sessionId?: string): Promise<TaskPage> {
    // One more than a page, to see whether there is another page.
    const rows = await this.#query(this.#sql.list, cursor ?? '', sessionId, PAGE_SIZE + 1);
    if (rows[0]?.found === null) throw new Error(`Invalid cursor: ${cursor}`);
    const found = rows.filter(row => row.task_id !== null).map(toTask);
    const tasks = found.slice(0, PAGE_SIZE);
    return { tasks, nextCursor: found.length > PAGE_SIZE ? tasks.at(-1)?.taskId : undefined };
  }

  /** @returns the status of a task that had ended already. @throws if the task is missing */
  async #update(
    taskId: string,
    sessionId: string | undefined,
    status: Task['status'],
    message: string | null,
    result: string | null
  ): Promise<string | undefined> {
    const values = [status, message, new Date().toISOString(), isTerminal(status), result];
    const [row] = await this.#query(this.#sql.update, taskId, sessionId, ...values);
    if (!row || row.ended === 'true' || isTerminal(status)) this.#running.ended(taskId);
    if (!row) throw taskNotFound(taskId);
    return row.ended === 'true' ? String(row.status) : undefined;
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
