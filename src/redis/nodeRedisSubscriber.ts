import type { RedisSubscriber } from './client.js';

type Listener = (...args: never[]) => void;
type OnMessage = (message: string, channel: string) => void;

/** What is used of the three kinds of node-redis client to subscribe. */
export interface NodeRedisPubSub {
  /** Of a single client. */
  readonly options?: { socket?: object };
  /** Of a Cluster. */
  readonly _options?: { defaults?: { socket?: object } };
  duplicate(overrides?: object): NodeRedisPubSub;
  connect(): Promise<unknown>;
  destroy(): unknown;
  on(event: string, listener: Listener): unknown;
  subscribe(channel: string, listener: OnMessage): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  sSubscribe(channel: string, listener: OnMessage): Promise<unknown>;
  sUnsubscribe(channel: string): Promise<unknown>;
}

const RETRY_MS = 100;
const MAX_RETRY_MS = 2000;
/** A refusal by Redis (`NOPERM …`, `ERR …`), other than trouble with the connection: asking again does not help. */
const REFUSED = /^[A-Z]{3,} /;

/** A connection of its own beside a node-redis client, in the shape of ioredis. It keeps trying until it is closed. */
export class NodeRedisSubscriber implements RedisSubscriber {
  readonly #connection: NodeRedisPubSub;
  readonly #listeners = new Map<string, Listener[]>();
  readonly #connected: Promise<unknown>;
  #closed = false;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(client: NodeRedisPubSub) {
    this.#connection = client.duplicate(overridesFor(client));
    const onError = (error: Error): void => this.#emit('error', error);
    this.#connection.on('error', onError);
    this.#connection.on('node-error', onError);
    this.#connection.on('client-error', ({ error }: { error: Error }) => onError(error));
    for (const name of ['subscribe', 'sSubscribe'] as const) this.#reportRejections(name);
    this.#connected = this.#untilDone(() => this.#connection.connect());
    this.#connected.catch(() => {});
  }

  on(event: string, listener: Listener): void {
    this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), listener]);
  }

  subscribe(channel: string): Promise<unknown> {
    const onMessage: OnMessage = message => this.#emit('message', channel, message);
    return this.#whenConnected(() => this.#connection.subscribe(channel, onMessage));
  }

  unsubscribe(channel: string): Promise<unknown> {
    return this.#whenConnected(() => this.#connection.unsubscribe(channel));
  }

  ssubscribe(channel: string): Promise<unknown> {
    const onMessage: OnMessage = message => this.#emit('smessage', channel, message);
    return this.#whenConnected(() => this.#connection.sSubscribe(channel, onMessage));
  }

  sunsubscribe(channel: string): Promise<unknown> {
    return this.#whenConnected(() => this.#connection.sUnsubscribe(channel));
  }

  disconnect(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    void (async () => this.#connection.destroy())().catch(() => {});
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
        this.#emit('error', error as Error);
      }
      await new Promise<void>(resolve => {
        this.#retry = setTimeout(resolve, RETRY_MS);
        this.#retry.unref?.();
      });
    }
  }

  /** When slots of a Cluster move, the library subscribes anew without waiting: a rejection would end the process. */
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

/** Subscriptions wait for a connection as long as it takes, whatever the client's own commands do. */
function overridesFor(client: NodeRedisPubSub): object {
  const reconnectStrategy = (retries: number): number => Math.min(RETRY_MS * (retries + 1), MAX_RETRY_MS);
  const always = { disableOfflineQueue: false, commandOptions: {} };
  if (client._options) {
    const { defaults } = client._options;
    const socket = { ...defaults?.socket, reconnectStrategy };
    // Only what is subscribed on is connected to.
    return { commandOptions: {}, minimizeConnections: true, defaults: { ...defaults, ...always, socket } };
  }
  return client.options
    ? { ...always, socket: { ...client.options.socket, reconnectStrategy } }
    : { commandOptions: {} };
}
