import type { RequestId } from '../sdkTypes.js';
import { Date } from '../timers.js';
import { keepSelf, throughWrappers } from '../wrappable.js';
import { RunningTasks } from './runningTasks.js';
import type { CreateTaskOptions, Request, Result, Task, TaskStore } from './sdkTasks.js';
import {
  isTerminal,
  newTask,
  type NewTask,
  noResult,
  resultRefused,
  statusRefused,
  taskNotFound
} from './taskRules.js';

/** One page of a session's tasks. */
export interface TaskPage {
  /** The tasks, in the order of their creation. */
  tasks: Task[];
  /** The cursor of the next page; absent on the last one. */
  nextCursor?: string;
}

/** A change of a task that has not ended. */
export interface TaskChange {
  readonly status: Task['status'];
  /** Whether the change ends the task: then its time to live restarts. */
  readonly isEnd: boolean;
  readonly lastUpdatedAt: string;
  /** Absent if the message stays as it is. */
  readonly statusMessage?: string | undefined;
  /** The result as JSON. */
  readonly result?: string;
}

/** How a backend keeps the tasks of sessions. A task of another session, or of no session, counts as missing. */
export interface TaskTable {
  create(created: NewTask, sessionId: string | undefined): Promise<void>;
  /** Null if the task is missing. */
  read(taskId: string, sessionId: string | undefined): Promise<Task | null>;
  /** The result as JSON; null if there is none, undefined if the task is missing. */
  readResult(taskId: string, sessionId: string | undefined): Promise<string | null | undefined>;
  /**
   * Changes a task in one atomic step, unless it has ended.
   * @returns 'changed', 'missing', or the status of a task that had ended before
   */
  update(
    taskId: string,
    sessionId: string | undefined,
    change: TaskChange
  ): Promise<'changed' | 'missing' | { readonly endedAs: string }>;
  /**
   * The tasks after a cursor, in the order of creation.
   * @param cursor - the id of a task; '' for the first page
   * @returns undefined if the cursor is unknown
   */
  page(cursor: string, sessionId: string | undefined, size: number): Promise<TaskPage | undefined>;
}

const PAGE_SIZE = 10;

/** The part of a task store that is the same for every backend. */
export class SharedTaskStore implements TaskStore {
  readonly #table: TaskTable;
  readonly #maxTtlMs: number;
  readonly #running = new RunningTasks();

  static {
    throughWrappers(this);
  }

  constructor(table: TaskTable, maxTtlMs: number) {
    keepSelf(this);
    this.#table = table;
    this.#maxTtlMs = maxTtlMs;
  }

  async createTask(
    options: CreateTaskOptions,
    _requestId: RequestId,
    _request: Request,
    sessionId?: string
  ): Promise<Task> {
    const created = newTask(options, this.#maxTtlMs);
    const { taskId } = created.task;
    await this.#table.create(created, sessionId);
    this.#running.started(taskId, sessionId, () => this.getTask(taskId, sessionId));
    return created.task;
  }

  async getTask(taskId: string, sessionId?: string): Promise<Task | null> {
    const task = await this.#table.read(taskId, sessionId);
    if (!task || isTerminal(task.status)) this.#running.ended(taskId);
    return task;
  }

  async storeTaskResult(
    taskId: string,
    status: 'completed' | 'failed',
    result: Result,
    sessionId?: string
  ): Promise<void> {
    const ended = await this.#update(taskId, sessionId, { status, result: JSON.stringify(result) });
    if (ended !== undefined) throw resultRefused(taskId, ended);
  }

  async getTaskResult(taskId: string, sessionId?: string): Promise<Result> {
    const result = await this.#table.readResult(taskId, sessionId);
    if (result === undefined) throw taskNotFound(taskId);
    if (result === null) throw noResult(taskId);
    return JSON.parse(result) as Result;
  }

  async updateTaskStatus(
    taskId: string,
    status: Task['status'],
    statusMessage?: string,
    sessionId?: string
  ): Promise<void> {
    const ended = await this.#update(taskId, sessionId, { status, statusMessage: statusMessage || undefined });
    if (ended !== undefined) throw statusRefused(taskId, ended, status);
  }

  /** Ten tasks at a time, in the order of creation. The cursor is the id of the last task of the page before. */
  async listTasks(cursor?: string, sessionId?: string): Promise<TaskPage> {
    const page = await this.#table.page(cursor ?? '', sessionId, PAGE_SIZE);
    if (!page) throw new Error(`Invalid cursor: ${cursor}`);
    return page;
  }

  /** @returns the status of a task that had ended before. @throws if the task is missing */
  async #update(
    taskId: string,
    sessionId: string | undefined,
    change: Pick<TaskChange, 'status' | 'statusMessage' | 'result'>
  ): Promise<string | undefined> {
    const isEnd = isTerminal(change.status);
    const lastUpdatedAt = new Date().toISOString();
    const outcome = await this.#table.update(taskId, sessionId, { ...change, isEnd, lastUpdatedAt });
    if (outcome !== 'changed' || isEnd) this.#running.ended(taskId);
    if (outcome === 'missing') throw taskNotFound(taskId);
    return outcome === 'changed' ? undefined : outcome.endedAs;
  }
}
