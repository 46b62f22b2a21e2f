/** Registers Lua scripts, each as a method of the client. */
export interface ScriptDefiner {
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
}

/**
 * What the session store uses of a client, in the shape of ioredis 5 and 6 and iovalkey (`Redis` or `Cluster`); other clients
 * are adapted to it. The client is handed in, and stays its owner's to configure and to close.
 */
export interface RedisClient extends RedisBusClient, RedisIndexClient {
  getex(key: string, secondsToken: 'EX', seconds: number): Promise<string | null>;
  exists(key: string): Promise<number>;
  pipeline(): RedisPipeline;
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
}

/** Commands that go to Redis in one write. */
export interface RedisPipeline {
  getex(key: string, secondsToken: 'EX', seconds: number): RedisPipeline;
  get(key: string): RedisPipeline;
  hgetall(key: string): RedisPipeline;
  expire(key: string, seconds: number): RedisPipeline;
  pttl(key: string): RedisPipeline;
  exists(key: string): RedisPipeline;
  zrem(key: string, member: string): RedisPipeline;
  wait(replicas: number, timeoutMs: number): RedisPipeline;
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}

/** What the index of sessions uses of the client. */
export interface RedisIndexClient {
  zscan(key: string, cursor: string, countToken: 'COUNT', count: number): Promise<[cursor: string, entries: string[]]>;
}

export const REDIS_CLIENT_METHODS = ['getex', 'exists', 'pipeline', 'defineCommand', 'publish', 'duplicate'] as const;

/** A connection that subscribes. */
export interface RedisSubscriber {
  /** Whether it belongs to the client, which looks after it. */
  readonly isShared?: boolean;
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  ssubscribe(channel: string): Promise<unknown>;
  sunsubscribe(channel: string): Promise<unknown>;
  on(event: string, listener: (...args: never[]) => void): unknown;
  disconnect(): void;
}

/** What the bus uses of the client. */
export interface RedisBusClient {
  readonly isCluster: boolean;
  readonly options?: object;
  publish(channel: string, message: string): Promise<number>;
  spublish(channel: string, message: string): Promise<unknown>;
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  // The two kinds of client take different arguments.
  duplicate(...args: never[]): unknown;
}

export const REDIS_BUS_METHODS = ['publish', 'duplicate', 'defineCommand'] as const;

/** Whether to use the sharded channels of a Cluster: iovalkey and older versions of ioredis subscribe on any node. */
export function isSharded({ isCluster, options }: RedisBusClient): boolean {
  return isCluster && (options === undefined || 'shardedSubscribers' in options);
}

/**
 * Opens a connection to subscribe with. However the client is set up: subscriptions wait for a connection as long as it
 * takes, and return with it.
 */
export function openSubscriber(client: RedisBusClient): RedisSubscriber {
  const redis = client as { duplicate(...args: unknown[]): RedisSubscriber };
  const always = { enableOfflineQueue: true, enableAutoPipelining: false };
  return client.isCluster
    ? redis.duplicate([], { ...always, shardedSubscribers: true, redisOptions: { commandTimeout: undefined } })
    : redis.duplicate({ ...always, autoResubscribe: true, maxRetriesPerRequest: null, commandTimeout: undefined });
}

/** What the event store uses of the client. */
export interface RedisEventClient {
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  xrange(
    key: string,
    start: string,
    end: string,
    countToken: 'COUNT',
    count: number
  ): Promise<[id: string, fields: string[]][]>;
  xrevrange(
    key: string,
    end: string,
    start: string,
    countToken: 'COUNT',
    count: number
  ): Promise<[id: string, fields: string[]][]>;
  unlink(key: string): Promise<number>;
  // TypeScript compares only the last of a library's overloads.
  zrange(...args: never[]): Promise<unknown>;
}

export const REDIS_EVENT_METHODS = ['defineCommand', 'xrange', 'xrevrange', 'zrange', 'unlink'] as const;

/** What the task store uses of the client. */
export interface RedisTaskClient {
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  hmget(key: string, ...fields: string[]): Promise<(string | null)[]>;
  pipeline(): RedisTaskPipeline;
}

/** Reads of tasks that go to Redis in one write. */
export interface RedisTaskPipeline {
  hmget(key: string, ...fields: string[]): RedisTaskPipeline;
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}

export const REDIS_TASK_METHODS = ['defineCommand', 'hmget', 'pipeline'] as const;

/** What the queue of task messages uses of the client. */
export interface RedisTaskQueueClient {
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  lpop(key: string): Promise<string | null>;
  lpop(key: string, count: number): Promise<string[] | null>;
}

export const REDIS_TASK_QUEUE_METHODS = ['defineCommand', 'lpop'] as const;
