import { type SessionBus, TopicListeners } from '../sessionBus.js';
import { checkFunction, checkMethods, checkOptionsObject, checkString } from '../validate.js';
import { REDIS_BUS_METHODS, type RedisBusClient, type RedisSubscriber } from './client.js';
import { DEFAULT_KEY_PREFIX } from './keys.js';

export interface RedisSessionBusOptions {
  /** An ioredis client, `Redis` or `Cluster`: it publishes, and is duplicated once to subscribe. It stays yours. */
  redis: RedisBusClient;
  /** Put before every channel. @default 'mcp:session:' */
  keyPrefix?: string;
  /** Told of the subscriber connection's errors. @default nothing */
  onLog?: (level: 'debug' | 'info' | 'warn', message: string) => void;
}

/**
 * Redis pub/sub, sharded on a Cluster (SPUBLISH, Redis 7). One subscriber connection, opened with the first
 * subscription; ioredis subscribes anew after an outage.
 */
export class RedisSessionBus implements SessionBus {
  readonly #redis: RedisBusClient;
  readonly #prefix: string;
  readonly #onLog: NonNullable<RedisSessionBusOptions['onLog']>;
  readonly #listeners = new TopicListeners();
  /** Of each channel that has listeners: settles when it is subscribed to. */
  readonly #subscribed = new Map<string, Promise<unknown>>();
  #subscriber: RedisSubscriber | undefined;

  /** @throws InvalidOptionError */
  constructor(options: RedisSessionBusOptions) {
    checkOptionsObject('options', options);
    checkMethods('redis', options.redis, REDIS_BUS_METHODS);
    checkString('keyPrefix', options.keyPrefix);
    checkFunction('onLog', options.onLog);
    this.#redis = options.redis;
    this.#prefix = `${options.keyPrefix ?? DEFAULT_KEY_PREFIX}bus:`;
    this.#onLog = options.onLog ?? (() => {});
  }

  async publish(topic: string, message: string): Promise<void> {
    const channel = this.#prefix + topic;
    await (this.#redis.isCluster ? this.#redis.spublish(channel, message) : this.#redis.publish(channel, message));
  }

  async subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    const channel = this.#prefix + topic;
    const subscriber = (this.#subscriber ??= this.#connect());
    if (this.#listeners.add(channel, listener)) {
      const subscribed = this.#redis.isCluster ? subscriber.ssubscribe(channel) : subscriber.subscribe(channel);
      this.#subscribed.set(channel, subscribed);
    }
    try {
      // Also where another listener came first: its subscription may be under way.
      await this.#subscribed.get(channel);
    } catch (error) {
      this.#remove(channel, listener);
      throw error;
    }
    return async () => {
      // After close() there is no connection left to tell.
      if (!this.#remove(channel, listener) || this.#subscriber !== subscriber) return;
      await (this.#redis.isCluster ? subscriber.sunsubscribe(channel) : subscriber.unsubscribe(channel));
    };
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    this.#subscribed.clear();
    this.#subscriber?.disconnect();
    this.#subscriber = undefined;
  }

  /** @returns whether it was the channel's last */
  #remove(channel: string, listener: (message: string) => void): boolean {
    return this.#listeners.remove(channel, listener) && this.#subscribed.delete(channel);
  }

  #connect(): RedisSubscriber {
    const redis = this.#redis as { duplicate(...args: unknown[]): RedisSubscriber };
    // However the client is set up: subscriptions wait for a connection as long as it takes, and return with it.
    const always = { enableOfflineQueue: true, enableAutoPipelining: false };
    const subscriber = this.#redis.isCluster
      ? redis.duplicate([], { ...always, shardedSubscribers: true, redisOptions: { commandTimeout: undefined } })
      : redis.duplicate({ ...always, autoResubscribe: true, maxRetriesPerRequest: null, commandTimeout: undefined });
    const onmessage = (channel: string, message: string): void => {
      // A client with a `keyPrefix` of its own has put it before sharded channels.
      this.#listeners.emit(channel.slice(Math.max(0, channel.indexOf(this.#prefix))), message);
    };
    subscriber.on('message', onmessage);
    subscriber.on('smessage', onmessage);
    subscriber.on('error', (error: Error) => this.#onLog('warn', `the bus's connection: ${error.message}`));
    return subscriber;
  }
}
