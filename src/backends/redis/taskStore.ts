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
import { checkNumber, checkOptionsObject, checkString } from '../../validate.js';
import { REDIS_TASK_METHODS, type RedisTaskClient } from './client.js';
import { Database } from './database.js';
import { DEFAULT_KEY_PREFIX, RedisKeys } from './keys.js';
import type { NodeRedisClient } from './nodeRedis.js';
import { textOf, textsOf } from './replies.js';
import { CREATE_TASK, LIST_TASKS, UPDATE_TASK } from './taskScripts.js';
import { Date } from '../../timers.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** The options of a {@link RedisTaskStore}. */
export interface RedisTaskStoreOptions {
  /** A client of ioredis, iovalkey or node-redis: single, Cluster or Sentinel. You configure and close it. */
  redis: RedisTaskClient | NodeRedisClient;
  /** The prefix of every key. @default 'mcp:session:' */
  keyPrefix?: string;
  /**
   * The longest time to live, in milliseconds. A task that requests more gets this. A task without limit (`ttl` is null
   * or 0) is kept for this time after its last change.
   * @default 86400000 (24 hours)
   */
  maxTtlMs?: number;
}

const PAGE_SIZE = 10;
/** The SDK waits for a task store without a time limit. */
const TASK_TIMEOUT_MS = 10_000;
const TASK_FIELDS = ['status', 'statusMessage', 'lastUpdatedAt', 'fixed'] as const;
type TaskValues = (string | null)[];

/**
 * The SDK's tasks in Redis 6.2 or later, so that every pod can read them. The work of a task stays in the process that
 * began it. If that process ends, the task keeps its last status until its time to live is over.
 *
 * A task belongs to the session that created it; other sessions do not find it. A call without a session id finds only
 * tasks that were created without one. Inside a handler, `extra.taskStore` passes the id.
 *
 * The time to live starts when the task is created, and restarts when it ends.
 */
export class RedisTaskStore implements TaskStore {
  readonly #database: Database;
  readonly #keys: RedisKeys;
  readonly #maxTtlMs: number;
  readonly #running = new RunningTasks();

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: RedisTaskStoreOptions) {
    keepSelf(this);
    checkOptionsObject('options', options);
    checkString('keyPrefix', options.keyPrefix);
    checkNumber('maxTtlMs', options.maxTtlMs, { min: 1, max: Number.MAX_SAFE_INTEGER / 2, integer: true });
    const scripts = [CREATE_TASK, UPDATE_TASK, LIST_TASKS];
    this.#database = new Database(options.redis, REDIS_TASK_METHODS, { scripts, timeoutMs: TASK_TIMEOUT_MS });
    this.#keys = new RedisKeys(options.keyPrefix ?? DEFAULT_KEY_PREFIX);
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
    await this.#database.script(
      CREATE_TASK,
      this.#taskKeys(taskId, sessionId),
      ...[taskId, lifetimeMs],
      ...['status', 'working'],
      ...['lastUpdatedAt', fixed.createdAt],
      ...['fixed', JSON.stringify(fixed)],
      ...['lifetimeMs', lifetimeMs],
      ...(fixed.ttl ? [] : ['unlimited', '1'])
    );
    this.#running.started(taskId, sessionId, () => this.getTask(taskId, sessionId));
    return task;
  }

  async getTask(taskId: string, sessionId?: string): Promise<Task | null> {
    const key = this.#keys.task(sessionId, taskId);
    const task = toTask(taskId, textsOf(await this.#database.command('hmget', key, ...TASK_FIELDS)));
    if (!task || isTerminal(task.status)) this.#running.ended(taskId);
    return task;
  }

  async storeTaskResult(
    taskId: string,
    status: 'completed' | 'failed',
    result: Result,
    sessionId?: string
  ): Promise<void> {
    const ended = await this.#update(taskId, sessionId, status, ['result', JSON.stringify(result)]);
    if (ended) throw resultRefused(taskId, ended);
  }

  async getTaskResult(taskId: string, sessionId?: string): Promise<Result> {
    const key = this.#keys.task(sessionId, taskId);
    const [status, result] = textsOf(await this.#database.command('hmget', key, 'status', 'result'));
    if (!status) throw taskNotFound(taskId);
    if (!result) throw noResult(taskId);
    return JSON.parse(result) as Result;
  }

  async updateTaskStatus(
    taskId: string,
    status: Task['status'],
    statusMessage?: string,
    sessionId?: string
  ): Promise<void> {
    const ended = await this.#update(taskId, sessionId, status, statusMessage ? ['statusMessage', statusMessage] : []);
    if (ended) throw statusRefused(taskId, ended, status);
  }

  /** Ten tasks at a time, in the order of creation. The cursor is the id of the last task of the page before. */
  async listTasks(cursor?: string, sessionId?: string): Promise<TaskPage> {
    const keys = [this.#keys.tasks(sessionId), this.#keys.taskExpiries(sessionId)];
    // One more than a page shows whether there is another page.
    const listed = await this.#database.script(LIST_TASKS, keys, cursor ?? '', PAGE_SIZE + 1);
    if (!listed) throw new Error(`Invalid cursor: ${cursor}`);
    const ids = textsOf(listed) as string[];
    const page = ids.slice(0, PAGE_SIZE);
    const reads = page.map(taskId => ['hmget', this.#keys.task(sessionId, taskId), ...TASK_FIELDS] as const);
    const replies = page.length > 0 ? await this.#database.batch(...reads) : [];
    // A task may have expired since the list was read.
    const tasks = replies.flatMap((values, i) => toTask(page[i] as string, textsOf(values)) ?? []);
    return { tasks, nextCursor: ids.length > PAGE_SIZE ? page.at(-1) : undefined };
  }

  /** @returns the status of a task that has already ended, else ''. @throws if the task is missing */
  async #update(
    taskId: string,
    sessionId: string | undefined,
    status: Task['status'],
    fields: string[]
  ): Promise<string> {
    const reply = await this.#database.script(
      UPDATE_TASK,
      this.#taskKeys(taskId, sessionId),
      ...[taskId, 'status', status, 'lastUpdatedAt', new Date().toISOString()],
      ...(isTerminal(status) ? ['ended', '1'] : []),
      ...fields
    );
    const ended = textOf(reply);
    if (ended !== '' || isTerminal(status)) this.#running.ended(taskId);
    if (ended === null) throw taskNotFound(taskId);
    return ended;
  }

  #taskKeys(taskId: string, sessionId: string | undefined): [string, string, string] {
    return [this.#keys.task(sessionId, taskId), this.#keys.tasks(sessionId), this.#keys.taskExpiries(sessionId)];
  }
}

function toTask(taskId: string, values: TaskValues): Task | null {
  const [status, statusMessage, lastUpdatedAt, fixed] = values;
  if (!status || !lastUpdatedAt || !fixed) return null;
  const task: Task = { taskId, status: status as Task['status'], ...(JSON.parse(fixed) as FixedFields), lastUpdatedAt };
  if (statusMessage) task.statusMessage = statusMessage;
  return task;
}
