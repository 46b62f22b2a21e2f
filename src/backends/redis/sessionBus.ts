import { logTo, messageOf, type OnLog } from '../../log.js';
import type { SessionBus } from '../../ports/sessionBus.js';
import { TopicListeners } from '../shared/topicListeners.js';
import { checkFunction, checkOptionsObject, checkString } from '../../validate.js';
import { isSharded, openSubscriber, REDIS_BUS_METHODS, type RedisBusClient } from './client.js';
import { databaseOf } from './anyClient.js';
import { Database } from './database.js';
import { DEFAULT_KEY_PREFIX } from './keys.js';
import type { NodeRedisClient } from './nodeRedis.js';
import { isUnsharded, Subscriber } from './subscriber.js';
import { PUBLISH } from './busScripts.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** The options of a {@link RedisSessionBus}. */
export interface RedisSessionBusOptions {
  /**
   * A client of ioredis, iovalkey or node-redis. It publishes, and is duplicated once to subscribe. You configure and
   * close it.
   */
  redis: RedisBusClient | NodeRedisClient;
  /** The prefix of every channel. @default 'mcp:session:' */
  keyPrefix?: string;
  /** Called with the errors of the subscriber connection. @default nothing */
  onLog?: OnLog;
}

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof RedisSessionBusOptions, true>> = {
  redis: true,
  keyPrefix: true,
  onLog: true
};

/**
 * Redis pub/sub, with sharded channels on a Cluster if the server has them (SPUBLISH, Redis 7). It has one subscriber
 * connection, opened with the first subscription. After an outage the client subscribes again. A connection that no
 * longer replies is replaced.
 */
export class RedisSessionBus implements SessionBus {
  readonly #database: Database<RedisBusClient>;
  readonly #prefix: string;
  readonly #onLog: OnLog;
  readonly #listeners = new TopicListeners(thrown =>
    this.#onLog('warn', `a listener of the bus threw: ${messageOf(thrown)}`)
  );
  #subscriber: Subscriber | undefined;
  #sharded: boolean;

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: RedisSessionBusOptions) {
    keepSelf(this);
    checkOptionsObject('options', options, OPTION_NAMES);
    checkString('keyPrefix', options.keyPrefix);
    checkFunction('onLog', options.onLog);
    this.#database = new Database(options.redis, REDIS_BUS_METHODS, { scripts: [PUBLISH] });
    this.#sharded = isSharded(this.#database.client);
    // In Redis all databases share their channels.
    const database = databaseOf(this.#database.client);
    this.#prefix = `${options.keyPrefix ?? DEFAULT_KEY_PREFIX}bus:${database === 0 ? '' : `db${database}:`}`;
    this.#onLog = logTo(options.onLog);
  }

  async publish(topic: string, message: string): Promise<void> {
    const channel = this.#prefix + topic;
    if (this.#sharded) {
      try {
        return void (await this.#database.command('spublish', channel, message));
      } catch (error) {
        if (!isUnsharded(error)) throw error;
        this.#sharded = false;
      }
    }
    await (this.#database.client.isCluster
      ? this.#database.script(PUBLISH, [channel], channel, message)
      : this.#database.command('publish', channel, message));
  }

  async subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    const channel = this.#prefix + topic;
    const subscriber = (this.#subscriber ??= this.#connect());
    this.#listeners.add(channel, listener);
    try {
      // Needed even if the channel has another listener: its subscription may not be in effect yet.
      await subscriber.subscribe(channel);
    } catch (error) {
      this.#listeners.remove(channel, listener);
      throw error;
    }
    return async () => {
      // After close() there is no connection left.
      if (!this.#listeners.remove(channel, listener) || this.#subscriber !== subscriber) return;
      await subscriber.unsubscribe(channel);
    };
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    this.#subscriber?.close();
    this.#subscriber = undefined;
  }

  #connect(): Subscriber {
    return new Subscriber({
      open: () => openSubscriber(this.#database.client),
      sharded: this.#sharded,
      prefix: this.#prefix,
      // A client with its own `keyPrefix` adds it to the names of sharded channels.
      onMessage: (channel, message) =>
        this.#listeners.emit(channel.slice(Math.max(0, channel.indexOf(this.#prefix))), message),
      onLog: this.#onLog
    });
  }
}
