import { withoutHoles } from './unservedSlots.js';

/** Registers Lua scripts, each as a method of the client. */
export interface ScriptDefiner {
  /** Registers a Lua script as a method of the client. */
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
}

/**
 * The methods that the session store uses, as in ioredis 5 and 6 and iovalkey (`Redis` or `Cluster`); other clients are
 * adapted to it. The application creates, configures and closes the client.
 */
export interface RedisClient extends RedisBusClient, RedisIndexClient {
  /** GETEX with EX: reads a key and sets its time to live, in seconds. */
  getex(key: string, secondsToken: 'EX', seconds: number): Promise<string | null>;
  /** EXISTS */
  exists(key: string): Promise<number>;
  /** Begins a batch of commands. */
  pipeline(): RedisPipeline;
  /** Registers a Lua script as a method of the client. */
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
}

/** Commands that go to Redis in one write. */
export interface RedisPipeline {
  /** GETEX with EX, in seconds. */
  getex(key: string, secondsToken: 'EX', seconds: number): RedisPipeline;
  /** GET */
  get(key: string): RedisPipeline;
  /** MGET */
  mget(...keys: string[]): RedisPipeline;
  /** HGETALL */
  hgetall(key: string): RedisPipeline;
  /** EXPIRE, in seconds. */
  expire(key: string, seconds: number): RedisPipeline;
  /** PTTL: the time to live in milliseconds. */
  pttl(key: string): RedisPipeline;
  /** EXISTS */
  exists(key: string): RedisPipeline;
  /** ZREM */
  zrem(key: string, member: string): RedisPipeline;
  /** WAIT: until `replicas` replicas have the writes, at most `timeoutMs`. */
  wait(replicas: number, timeoutMs: number): RedisPipeline;
  /** Sends the batch. @returns an error or a result for each command; null if the batch was aborted */
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}

/** The methods that the index of sessions uses. */
export interface RedisIndexClient {
  /** ZSCAN: members and scores, alternating. */
  zscan(key: string, cursor: string, countToken: 'COUNT', count: number): Promise<[cursor: string, entries: string[]]>;
}

export const REDIS_CLIENT_METHODS = ['getex', 'exists', 'pipeline', 'defineCommand', 'publish', 'duplicate'] as const;

/** A connection for subscriptions. */
export interface RedisSubscriber {
  /** Whether the connection belongs to the client, which then reconnects it. */
  readonly isShared?: boolean;
  /** SUBSCRIBE */
  subscribe(channel: string): Promise<unknown>;
  /** UNSUBSCRIBE */
  unsubscribe(channel: string): Promise<unknown>;
  /** SSUBSCRIBE: the channel belongs to the shard of its hash slot. */
  ssubscribe(channel: string): Promise<unknown>;
  /** SUNSUBSCRIBE */
  sunsubscribe(channel: string): Promise<unknown>;
  /** Listens to an event of the connection, such as `message` or `error`. */
  on(event: string, listener: (...args: never[]) => void): unknown;
  /** Only of an ioredis Cluster: asks which node serves which slots. */
  refreshSlotsCache?(): void;
  /** Closes the connection at once. */
  disconnect(): void;
}

/** The methods that the bus uses. */
export interface RedisBusClient {
  /** Whether this is a client of Redis Cluster. */
  readonly isCluster: boolean;
  /** The options with which the client was created. */
  readonly options?: object;
  /** PUBLISH */
  publish(channel: string, message: string): Promise<number>;
  /** SPUBLISH: the channel belongs to the shard of its hash slot. */
  spublish(channel: string, message: string): Promise<unknown>;
  /** Registers a Lua script as a method of the client. */
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  /** Creates a second client with the same options. `Redis` and `Cluster` take different arguments. */
  duplicate(...args: never[]): unknown;
}

export const REDIS_BUS_METHODS = ['publish', 'duplicate', 'defineCommand'] as const;

/** Whether to use sharded channels. Not with iovalkey and older versions of ioredis, which subscribe on any node. */
export function isSharded({ isCluster, options }: RedisBusClient): boolean {
  return isCluster && (options === undefined || 'shardedSubscribers' in options);
}

/**
 * Opens a connection for subscriptions. Whatever the client's options are, subscriptions wait for a connection without
 * limit, and are restored with it.
 */
export function openSubscriber(client: RedisBusClient): RedisSubscriber {
  const redis = client as { duplicate(...args: unknown[]): RedisSubscriber };
  const always = { enableOfflineQueue: true, enableAutoPipelining: false };
  const ofCluster = { shardedSubscribers: true, redisOptions: { commandTimeout: undefined } };
  return client.isCluster
    ? withoutHoles(redis.duplicate([], { ...always, ...ofCluster }))
    : redis.duplicate({ ...always, autoResubscribe: true, maxRetriesPerRequest: null, commandTimeout: undefined });
}

/** Commands of the event store that go to Redis in one write. */
export interface RedisEventPipeline {
  /** SET with EX, in seconds. */
  set(key: string, value: string, secondsToken: 'EX', seconds: number): RedisEventPipeline;
  /** GET */
  get(key: string): RedisEventPipeline;
  /** XLEN */
  xlen(key: string): RedisEventPipeline;
  /** XRANGE with COUNT: the entries from `start` to `end`. */
  xrange(key: string, start: string, end: string, countToken: 'COUNT', count: number): RedisEventPipeline;
  /** Sends the batch. @returns an error or a result for each command; null if the batch was aborted */
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}

/** The methods that the event store uses. */
export interface RedisEventClient {
  /** Begins a batch of commands. */
  pipeline(): RedisEventPipeline;
  /** Registers a Lua script as a method of the client. */
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  /** XRANGE with COUNT: the entries from `start` to `end`. */
  xrange(
    key: string,
    start: string,
    end: string,
    countToken: 'COUNT',
    count: number
  ): Promise<[id: string, fields: string[]][]>;
  /** XREVRANGE with COUNT: the entries from `end` back to `start`. */
  xrevrange(
    key: string,
    end: string,
    start: string,
    countToken: 'COUNT',
    count: number
  ): Promise<[id: string, fields: string[]][]>;
  /** UNLINK: deletes keys; Redis frees their memory in the background. */
  unlink(key: string): Promise<number>;
  // TypeScript compares only the last of a library's overloads.
  /** ZRANGE: the members of a range. */
  zrange(...args: never[]): Promise<unknown>;
}

export const REDIS_EVENT_METHODS = ['defineCommand', 'pipeline', 'xrange', 'xrevrange', 'zrange', 'unlink'] as const;

/** The methods that the task store uses. */
export interface RedisTaskClient {
  /** Registers a Lua script as a method of the client. */
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  /** HMGET */
  hmget(key: string, ...fields: string[]): Promise<(string | null)[]>;
  /** Begins a batch of reads. */
  pipeline(): RedisTaskPipeline;
}

/** Reads of tasks that go to Redis in one write. */
export interface RedisTaskPipeline {
  /** HMGET */
  hmget(key: string, ...fields: string[]): RedisTaskPipeline;
  /** Sends the batch. @returns an error or a result for each command; null if the batch was aborted */
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}

export const REDIS_TASK_METHODS = ['defineCommand', 'hmget', 'pipeline'] as const;

/** The methods that the queue of task messages uses. */
export interface RedisTaskQueueClient {
  /** Registers a Lua script as a method of the client. */
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  /** LPOP: the first element. */
  lpop(key: string): Promise<string | null>;
  /** LPOP with a count: the first elements. */
  lpop(key: string, count: number): Promise<string[] | null>;
}

export const REDIS_TASK_QUEUE_METHODS = ['defineCommand', 'lpop'] as const;
