import type { QueuedMessage, TaskMessageQueue } from '../../tasks/sdkTasks.js';
import { logTo, messageOf, type OnLog } from '../../log.js';
import { failRequests, pushMessage } from '../../tasks/taskMessages.js';
import { checkFunction, checkNumber, checkOptionsObject, checkString } from '../../validate.js';
import { REDIS_TASK_QUEUE_METHODS, type RedisTaskQueueClient } from './client.js';
import { Database } from './database.js';
import { DEFAULT_KEY_PREFIX, RedisKeys } from './keys.js';
import type { NodeRedisClient } from './nodeRedis.js';
import { integerOf, textOf, textsOf } from './replies.js';
import { ENQUEUE } from './taskScripts.js';
import { DEFAULT_MAX_TTL_MS } from '../../tasks/taskRules.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** The options of a {@link RedisTaskMessageQueue}. */
export interface RedisTaskMessageQueueOptions {
  /** A client of ioredis, iovalkey or node-redis: single, Cluster or Sentinel. You configure and close it. */
  redis: RedisTaskQueueClient | NodeRedisClient;
  /** The prefix of every key. @default 'mcp:session:' */
  keyPrefix?: string;
  /** Milliseconds that a queue is kept after its last message was added. @default 86400000 (24 hours) */
  ttlMs?: number;
  /** Called if a queue could not be emptied, because no caller waits for that. @default nothing */
  onLog?: OnLog;
}

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof RedisTaskMessageQueueOptions, true>> = {
  redis: true,
  keyPrefix: true,
  ttlMs: true,
  onLog: true
};

/** The SDK waits for a queue without a time limit. */
const TASK_TIMEOUT_MS = 10_000;
/** More messages than a list can hold. */
const ALL = 4_294_967_295;

/**
 * Queues, in Redis 6.2 or later, of the messages that tasks send before their client requests the result. Any pod
 * delivers them, and the responses reach the pod that sent the request.
 *
 * A queue belongs to a task of a session, and is empty for any other session.
 */
export class RedisTaskMessageQueue implements TaskMessageQueue {
  readonly #database: Database;
  readonly #keys: RedisKeys;
  readonly #ttlMs: number;
  readonly #onLog: OnLog;

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: RedisTaskMessageQueueOptions) {
    keepSelf(this);
    checkOptionsObject('options', options, OPTION_NAMES);
    checkString('keyPrefix', options.keyPrefix);
    checkNumber('ttlMs', options.ttlMs, { min: 1, max: Number.MAX_SAFE_INTEGER / 2, integer: true });
    checkFunction('onLog', options.onLog);
    const calls = { scripts: [ENQUEUE], timeoutMs: TASK_TIMEOUT_MS };
    this.#database = new Database(options.redis, REDIS_TASK_QUEUE_METHODS, calls);
    this.#keys = new RedisKeys(options.keyPrefix ?? DEFAULT_KEY_PREFIX);
    this.#ttlMs = options.ttlMs ?? DEFAULT_MAX_TTL_MS;
    this.#onLog = logTo(options.onLog);
  }

  async enqueue(taskId: string, message: QueuedMessage, sessionId?: string, maxSize?: number): Promise<void> {
    await pushMessage(message, sessionId, async pushed => {
      const text = JSON.stringify(pushed);
      const key = this.#keys.taskMessages(sessionId, taskId);
      const length = integerOf(await this.#database.script(ENQUEUE, [key], text, this.#ttlMs, maxSize ?? -1));
      if (length !== -1) {
        throw new Error(`Task message queue overflow: queue size (${length}) exceeds maximum (${maxSize})`);
      }
    });
  }

  async dequeue(taskId: string, sessionId?: string): Promise<QueuedMessage | undefined> {
    const text = textOf(await this.#database.command('lpop', this.#keys.taskMessages(sessionId, taskId)));
    return text === null ? undefined : (JSON.parse(text) as QueuedMessage);
  }

  /**
   * Empties the queue. The requests in it fail on the servers that sent them, on any pod, and are not returned.
   * Never rejects: the SDK does not await the call, and a rejection would end the process.
   */
  async dequeueAll(taskId: string, sessionId?: string): Promise<QueuedMessage[]> {
    try {
      const key = this.#keys.taskMessages(sessionId, taskId);
      const texts = textsOf((await this.#database.command('lpop', key, ALL)) ?? []) as string[];
      return await failRequests(
        texts.map(text => JSON.parse(text) as QueuedMessage),
        sessionId
      );
    } catch (error) {
      this.#onLog('warn', `the messages of a task could not be removed: ${messageOf(error)}`);
      return [];
    }
  }
}
