/**
 * The methods of an ioredis client that this package uses (`Redis` or `Cluster`, 5 and 6). The client is handed in,
 * and stays its owner's to configure and to close.
 */
export interface RedisClient extends RedisBusClient, RedisIndexClient {
  getex(key: string, secondsToken: 'EX', seconds: number): Promise<string | null>;
  exists(key: string): Promise<number>;
  pipeline(): RedisPipeline;
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
}

export interface RedisPipeline {
  getex(key: string, secondsToken: 'EX', seconds: number): RedisPipeline;
  get(key: string): RedisPipeline;
  hgetall(key: string): RedisPipeline;
  expire(key: string, seconds: number): RedisPipeline;
  pttl(key: string): RedisPipeline;
  exists(key: string): RedisPipeline;
  zadd(key: string, score: number, member: string): RedisPipeline;
  exec(): Promise<[error: Error | null, result: unknown][] | null>;
}

/** What the index of sessions uses of the client. */
export interface RedisIndexClient {
  pipeline(): RedisPipeline;
  zrem(key: string, member: string): Promise<number>;
  zremrangebyscore(key: string, min: string, max: number): Promise<number>;
  zscan(key: string, cursor: string, countToken: 'COUNT', count: number): Promise<[cursor: string, entries: string[]]>;
}

export const REDIS_CLIENT_METHODS = ['getex', 'exists', 'pipeline', 'defineCommand', 'publish', 'duplicate'] as const;

/** A connection that is used to subscribe. */
export interface RedisSubscriber {
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
  publish(channel: string, message: string): Promise<number>;
  spublish(channel: string, message: string): Promise<unknown>;
  // The two kinds of client take different arguments.
  duplicate(...args: never[]): unknown;
}

export const REDIS_BUS_METHODS = ['publish', 'duplicate'] as const;

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
}

export const REDIS_EVENT_METHODS = ['defineCommand', 'xrange', 'xrevrange'] as const;

/** What the task store uses of the client. */
export interface RedisTaskClient {
  defineCommand(name: string, definition: { numberOfKeys: number; lua: string }): void;
  hmget(key: string, ...fields: string[]): Promise<(string | null)[]>;
  pipeline(): RedisTaskPipeline;
}

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
