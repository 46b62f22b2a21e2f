import { unref } from '../../deadline.js';
import type { RedisSubscriber } from './client.js';
import { learnsSlotOf, type NodeRedisCluster } from './unservedSlots.js';
import { clearTimeout, setTimeout } from '../../timers.js';

type Listener = (...args: never[]) => void;
type OnMessage = (message: string, channel: string) => void;

/** The methods of the three kinds of node-redis client that are used to subscribe. */
export interface NodeRedisPubSub {
  /** Only on a single client. */
  readonly options?: { socket?: object };
  /** Only on a Cluster client. */
  readonly _options?: { defaults?: { socket?: object } };
  duplicate(overrides?: object): NodeRedisPubSub;
  connect(): Promise<unknown>;
  destroy(): unknown;
  on(event: string, listener: Listener): unknown;
  subscribe(channel: string, listener: OnMessage): Promise<unknown>;
  unsubscribe(channel: string, listener?: OnMessage): Promise<unknown>;
  sSubscribe(channel: string, listener: OnMessage): Promise<unknown>;
  sUnsubscribe(channel: string): Promise<unknown>;
}

const RETRY_MS = 100;
const MAX_RETRY_MS = 2000;
/**
 * A refusal by Redis (`NOPERM …`, `ERR …`), not a connection error: a retry does not help. The error of Redis before 7.2
 * for `CLIENT SETINFO`, which the library sends first, does not count as a refusal.
 */
const REFUSED = /^(?!ERR unknown subcommand)[A-Z]{3,} /;

/**
 * Subscriptions of a node-redis client with the API of ioredis, on a separate connection. A call that fails without a
 * refusal is retried until the connection is closed.
 */
export class NodeRedisSubscriber implements RedisSubscriber {
  readonly #connection: NodeRedisPubSub;
  readonly #listeners = new Map<string, Listener[]>();
  readonly #connected: Promise<unknown>;
  readonly #shares: boolean;
  /** By channel, the listener on a shared connection. */
  readonly #shared = new Map<string, OnMessage>();
  #closed = false;
  #retry: ReturnType<typeof setTimeout> | undefined;

  /** @param shares - whether the client itself has a connection for subscriptions, which is then used and left open */
  constructor(client: NodeRedisPubSub, shares: boolean) {
    this.#shares = shares;
    if (shares) {
      this.#connection = client;
      this.#connected = Promise.resolve();
      return;
    }
    this.#connection = client.duplicate(overridesFor(client));
    const onError = (error: Error): void => this.#emit('error', error);
    this.#connection.on('error', onError);
    this.#connection.on('node-error', onError);
    for (const name of ['subscribe', 'sSubscribe'] as const) this.#reportRejections(name);
    this.#connected = this.#untilDone(() => this.#connection.connect());
    this.#connected.catch(() => {});
  }

  get isShared(): boolean {
    return this.#shares;
  }

  on(event: string, listener: Listener): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  subscribe(channel: string): Promise<unknown> {
    const onMessage: OnMessage = message => this.#emit('message', channel, message);
    if (this.#shares) this.#shared.set(channel, onMessage);
    return this.#whenConnected(() => this.#connection.subscribe(channel, onMessage));
  }

  unsubscribe(channel: string): Promise<unknown> {
    const onMessage = this.#shared.get(channel);
    this.#shared.delete(channel);
    return this.#whenConnected(() => this.#connection.unsubscribe(channel, onMessage));
  }

  ssubscribe(channel: string): Promise<unknown> {
    const onMessage: OnMessage = message => this.#emit('smessage', channel, message);
    return this.#whenConnected(() => this.#onSlot(channel, () => this.#connection.sSubscribe(channel, onMessage)));
  }

  sunsubscribe(channel: string): Promise<unknown> {
    return this.#whenConnected(() => this.#onSlot(channel, () => this.#connection.sUnsubscribe(channel)));
  }

  disconnect(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    for (const channel of [...this.#shared.keys()]) this.unsubscribe(channel).catch(() => {});
    if (!this.#shares) void (async () => this.#connection.destroy())().catch(() => {});
  }

  async #whenConnected(work: () => Promise<unknown>): Promise<unknown> {
    await this.#connected;
    return this.#untilDone(work);
  }

  async #untilDone(work: () => Promise<unknown>): Promise<unknown> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (this.#closed || REFUSED.test((error as Error).message)) throw error;
        this.#emit('error', error);
      }
      await new Promise<void>(resolve => {
        this.#retry = setTimeout(resolve, RETRY_MS);
        unref(this.#retry);
      });
    }
  }

  async #onSlot(channel: string, work: () => Promise<unknown>): Promise<unknown> {
    try {
      return await work();
    } catch (error) {
      await learnsSlotOf(channel, error, this.#connection as unknown as NodeRedisCluster);
      throw error;
    }
  }

  /** When slots of a Cluster move, the library subscribes again without awaiting: a rejection would end the process. */
  #reportRejections(name: 'subscribe' | 'sSubscribe'): void {
    const original = this.#connection[name].bind(this.#connection);
    this.#connection[name] = (channel, listener) => {
      const subscribed = original(channel, listener);
      subscribed.catch((error: Error) => this.#emit('error', error));
      return subscribed;
    };
  }

  #emit(event: string, ...args: unknown[]): void {
    for (const listener of this.#listeners.get(event) ?? []) (listener as (...args: unknown[]) => void)(...args);
  }
}

/** With these options subscriptions wait for a connection without limit, whatever the client's own options are. */
function overridesFor(client: NodeRedisPubSub): object {
  const reconnectStrategy = (retries: number): number => Math.min(RETRY_MS * (retries + 1), MAX_RETRY_MS);
  const always = { disableOfflineQueue: false, commandOptions: {} };
  if (client._options) {
    const { defaults } = client._options;
    const socket = { ...defaults?.socket, reconnectStrategy };
    // Connects only to the nodes that have subscriptions.
    return { commandOptions: {}, minimizeConnections: true, defaults: { ...defaults, ...always, socket } };
  }
  return client.options
    ? { ...always, socket: { ...client.options.socket, reconnectStrategy } }
    : { commandOptions: {} };
}
