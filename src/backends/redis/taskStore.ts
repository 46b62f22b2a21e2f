import type { Task } from '../../tasks/sdkTasks.js';
import { SharedTaskStore, type TaskChange, type TaskPage, type TaskTable } from '../../tasks/sharedTaskStore.js';
import { DEFAULT_MAX_TTL_MS, type FixedFields, type NewTask } from '../../tasks/taskRules.js';
import { checkNumber, checkOptionsObject, checkString } from '../../validate.js';
import { REDIS_TASK_METHODS, type RedisTaskClient } from './client.js';
import { Database } from './database.js';
import { DEFAULT_KEY_PREFIX, RedisKeys } from './keys.js';
import type { NodeRedisClient } from './nodeRedis.js';
import { textOf, textsOf } from './replies.js';
import { CREATE_TASK, LIST_TASKS, UPDATE_TASK } from './taskScripts.js';

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

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof RedisTaskStoreOptions, true>> = {
  redis: true,
  keyPrefix: true,
  maxTtlMs: true
};

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
export class RedisTaskStore extends SharedTaskStore {
  /** @throws InvalidOptionError */
  constructor(options: RedisTaskStoreOptions) {
    super(new RedisTasks(options), options.maxTtlMs ?? DEFAULT_MAX_TTL_MS);
  }
}

/** A hash for each task; of each session, its tasks in order and their ends. */
class RedisTasks implements TaskTable {
  readonly #database: Database;
  readonly #keys: RedisKeys;

  constructor(options: RedisTaskStoreOptions) {
    checkOptionsObject('options', options, OPTION_NAMES);
    checkString('keyPrefix', options.keyPrefix);
    checkNumber('maxTtlMs', options.maxTtlMs, { min: 1, max: Number.MAX_SAFE_INTEGER / 2, integer: true });
    const scripts = [CREATE_TASK, UPDATE_TASK, LIST_TASKS];
    this.#database = new Database(options.redis, REDIS_TASK_METHODS, { scripts, timeoutMs: TASK_TIMEOUT_MS });
    this.#keys = new RedisKeys(options.keyPrefix ?? DEFAULT_KEY_PREFIX);
  }

  async create({ task: { taskId }, fixed, lifetimeMs }: NewTask, sessionId: string | undefined): Promise<void> {
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
  }

  async read(taskId: string, sessionId: string | undefined): Promise<Task | null> {
    const key = this.#keys.task(sessionId, taskId);
    return toTask(taskId, textsOf(await this.#database.command('hmget', key, ...TASK_FIELDS)));
  }

  async readResult(taskId: string, sessionId: string | undefined): Promise<string | null | undefined> {
    const key = this.#keys.task(sessionId, taskId);
    const [status, result] = textsOf(await this.#database.command('hmget', key, 'status', 'result'));
    return status ? result || null : undefined;
  }

  async update(
    taskId: string,
    sessionId: string | undefined,
    { status, isEnd, lastUpdatedAt, statusMessage, result }: TaskChange
  ): Promise<'changed' | 'missing' | { endedAs: string }> {
    const reply = await this.#database.script(
      UPDATE_TASK,
      this.#taskKeys(taskId, sessionId),
      ...[taskId, 'status', status, 'lastUpdatedAt', lastUpdatedAt],
      ...(isEnd ? ['ended', '1'] : []),
      ...(result === undefined ? [] : ['result', result]),
      ...(statusMessage === undefined ? [] : ['statusMessage', statusMessage])
    );
    const ended = textOf(reply);
    if (ended === null) return 'missing';
    return ended === '' ? 'changed' : { endedAs: ended };
  }

  async page(cursor: string, sessionId: string | undefined, size: number): Promise<TaskPage | undefined> {
    const keys = [this.#keys.tasks(sessionId), this.#keys.taskExpiries(sessionId)];
    // One more than a page shows whether there is another page.
    const listed = await this.#database.script(LIST_TASKS, keys, cursor, size + 1);
    if (!listed) return undefined;
    const ids = textsOf(listed) as string[];
    const page = ids.slice(0, size);
    const reads = page.map(taskId => ['hmget', this.#keys.task(sessionId, taskId), ...TASK_FIELDS] as const);
    const replies = page.length > 0 ? await this.#database.batch(...reads) : [];
    // A task may have expired since the list was read.
    const tasks = replies.flatMap((values, i) => toTask(page[i] as string, textsOf(values)) ?? []);
    return { tasks, nextCursor: ids.length > size ? page.at(-1) : undefined };
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
