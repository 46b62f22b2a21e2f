import type { SessionBus } from '../../ports/sessionBus.js';
import { TopicListeners } from '../shared/topicListeners.js';
import { checkFunction, checkOptionsObject, checkString } from '../../validate.js';
import { isSharded, openSubscriber, REDIS_BUS_METHODS, type RedisBusClient, type RedisSubscriber } from './client.js';
import { Database } from './database.js';
import { DEFAULT_KEY_PREFIX } from './keys.js';
import type { NodeRedisClient } from './nodeRedis.js';
import { PUBLISH } from './busScripts.js';

export interface RedisSessionBusOptions {
  /**
   * A client of ioredis, iovalkey or node-redis: it publishes, and is duplicated once to subscribe. It stays yours.
   */
  redis: RedisBusClient | NodeRedisClient;
  /** Put before every channel. @default 'mcp:session:' */
  keyPrefix?: string;
  /** Told of the subscriber connection's errors. @default nothing */
  onLog?: (level: 'debug' | 'info' | 'warn', message: string) => void;
}

/**
 * Redis pub/sub, sharded on a Cluster where it can (SPUBLISH, Redis 7). One subscriber connection, opened with the first
 * subscription; after an outage the client subscribes anew.
 */
export class RedisSessionBus implements SessionBus {
  readonly #database: Database<RedisBusClient>;
  readonly #prefix: string;
  readonly #onLog: NonNullable<RedisSessionBusOptions['onLog']>;
  readonly #listeners = new TopicListeners(error =>
    this.#onLog('warn', `a listener of the bus threw: ${error.message}`)
  );
  /** Of each channel that is being subscribed to. */
  readonly #subscribing = new Map<string, Promise<unknown>>();
  #subscriber: RedisSubscriber | undefined;
  #sharded: boolean;

  /** @throws InvalidOptionError */
  constructor(options: RedisSessionBusOptions) {
    checkOptionsObject('options', options);
    checkString('keyPrefix', options.keyPrefix);
    checkFunction('onLog', options.onLog);
    this.#database = new Database(options.redis, REDIS_BUS_METHODS, { scripts: [PUBLISH] });
    this.#sharded = isSharded(this.#database.client);
    this.#prefix = `${options.keyPrefix ?? DEFAULT_KEY_PREFIX}bus:`;
    this.#onLog = options.onLog ?? (() => {});
  }

  async publish(topic: string, message: string): Promise<void> {
    const channel = this.#prefix + topic;
    if (this.#sharded) {
      try {
        return void (await this.#database.command('spublish', channel, message));
      } catch (error) {
        this.#notSharded(error as Error);
      }
    }
    await (this.#database.client.isCluster
      ? this.#database.script(PUBLISH, [channel], channel, message)
      : this.#database.command('publish', channel, message));
  }

  async subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    const channel = this.#prefix + topic;
    const subscriber = (this.#subscriber ??= this.#connect());
    if (this.#listeners.add(channel, listener)) this.#begin(subscriber, channel);
    try {
      // Also where another listener came first: its subscription may be under way.
      await this.#subscribing.get(channel);
    } catch (error) {
      this.#listeners.remove(channel, listener);
      throw error;
    }
    return async () => {
      // After close() there is no connection left to tell.
      if (!this.#listeners.remove(channel, listener) || this.#subscriber !== subscriber) return;
      await this.#onChannel(subscriber, channel, true);
    };
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    this.#subscribing.clear();
    this.#subscriber?.disconnect();
    this.#subscriber = undefined;
  }

  #begin(subscriber: RedisSubscriber, channel: string): void {
    const subscribing = this.#onChannel(subscriber, channel);
    this.#subscribing.set(channel, subscribing);
    const settled = (): void => {
      if (this.#subscribing.get(channel) === subscribing) this.#subscribing.delete(channel);
    };
    subscribing.then(settled, settled);
  }

  /** Subscribes or leaves, sharded where the server can. */
  async #onChannel(subscriber: RedisSubscriber, channel: string, leave = false): Promise<unknown> {
    if (this.#sharded) {
      try {
        return await (leave ? subscriber.sunsubscribe(channel) : subscriber.ssubscribe(channel));
      } catch (error) {
        this.#notSharded(error as Error);
      }
    }
    return leave ? subscriber.unsubscribe(channel) : subscriber.subscribe(channel);
  }

  /** A Cluster older than Redis 7 has no sharded channels: there, every node passes on what is published. */
  #notSharded(error: Error): void {
    if (!/unknown command/i.test(error.message)) throw error;
    this.#sharded = false;
  }

  #connect(): RedisSubscriber {
    const subscriber = openSubscriber(this.#database.client);
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
