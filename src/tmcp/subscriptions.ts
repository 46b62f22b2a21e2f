import { messageOf } from '../log.js';
import { SlowClientError } from '../errors.js';
import { ManagerBackend, type SessionManagerOptions, type SharedBackend } from './backend.js';

/** The notifications that a client has asked for. */
export interface SubscriptionFilters {
  /** `notifications/tools/list_changed`. */
  toolsListChanged?: boolean | undefined;
  /** `notifications/prompts/list_changed`. */
  promptsListChanged?: boolean | undefined;
  /** `notifications/resources/list_changed`. */
  resourcesListChanged?: boolean | undefined;
  /** The URIs for `notifications/resources/updated`. */
  resourceSubscriptions?: string[] | undefined;
}

/** A stream of notifications that a client has opened by a request (`subscriptions/listen`). */
export interface Subscription {
  /** The id of the request. */
  id: string | number;
  /** Tells clients with the same ids apart. */
  origin: string;
  /** What the client has asked for. */
  filters: SubscriptionFilters;
}

/** The stream itself. It stays in the process that answers the request. */
export interface SubscriptionCallbacks<T> {
  /** Tells the client that the subscription is in effect. */
  acknowledge: () => void | Promise<void>;
  /** Sends a notification to the client. */
  send: (notification: T) => void | Promise<void>;
  /** Ends the stream. */
  close: (reason: 'closed' | 'cancelled') => void | Promise<void>;
}

interface Entry {
  readonly subscription: Subscription;
  readonly callbacks: SubscriptionCallbacks<never>;
  /** What is delivered one after the other. Never rejects. */
  queue: Promise<unknown>;
  waiting: number;
  closing?: Promise<boolean>;
}

interface Notification {
  readonly method: string;
  readonly params?: { readonly uri?: unknown } | undefined;
}

const TOPIC = 'tmcp-subscriptions';
/** A subscription is closed if this number of notifications wait for its client. */
const MAX_WAITING = 10_000;

/**
 * Routes notifications to the clients of all pods that have subscribed to them by a request. Pass it to tmcp's
 * `HttpTransport` as `subscriptionManager`. Notifications are delivered at most once.
 */
export class SharedSubscriptionManager {
  readonly #backend: ManagerBackend;
  readonly #pod = globalThis.crypto.randomUUID();
  /** By origin and id. */
  readonly #entries = new Map<string, Map<string | number, Entry>>();
  #listening: Promise<unknown> | undefined;

  /**
   * @param backend - the URL of a Redis (`redis://` or `rediss://`, with `user:password@` if needed), or an object with a
   *   `sessionBus`
   * @throws InvalidOptionError
   */
  constructor(backend: string | SharedBackend, options: SessionManagerOptions = {}) {
    this.#backend = new ManagerBackend(backend, { bus: true }, options);
  }

  /**
   * Registers a subscription of this process. Notifications that arrive before it is acknowledged are sent afterwards.
   * @returns false if there is one with this origin and id
   * @throws the error of `acknowledge`, or of the bus
   */
  async create<T>(subscription: Subscription, callbacks: SubscriptionCallbacks<T>): Promise<boolean> {
    this.#listening ??= this.#listen().catch((error: unknown) => {
      this.#listening = undefined;
      throw error;
    });
    await this.#listening;
    const { origin, id } = subscription;
    const ofOrigin = this.#entries.get(origin) ?? new Map<string | number, Entry>();
    if (ofOrigin.has(id)) return false;
    this.#entries.set(origin, ofOrigin);
    const acknowledged = (async () => callbacks.acknowledge())();
    const entry: Entry = { subscription, callbacks, waiting: 0, queue: acknowledged.catch(() => {}) };
    ofOrigin.set(id, entry);
    try {
      await acknowledged;
    } catch (error) {
      this.#remove(entry);
      if (!entry.closing) throw error;
    }
    return true;
  }

  /** Sends a notification to the subscribed clients of all pods. @throws the error of the bus */
  async send<T extends object>(notification: T): Promise<void> {
    this.#deliver(notification as unknown as Notification);
    const text = JSON.stringify({ from: this.#pod, notification });
    await this.#backend.bus(bus => bus.publish(TOPIC, text));
  }

  /** Ends a subscription of this process, after what was sent before. @returns false if there is none */
  async close(id: string | number, origin: string, reason: 'closed' | 'cancelled'): Promise<boolean> {
    const entry = this.#entries.get(origin)?.get(id);
    if (!entry) return false;
    entry.closing ??= (async () => {
      try {
        await entry.queue;
        await entry.callbacks.close(reason);
        return true;
      } finally {
        this.#remove(entry);
      }
    })();
    return entry.closing;
  }

  /** Ends all subscriptions of this process, or those of an origin. */
  async closeAll(origin?: string, reason: 'closed' | 'cancelled' = 'cancelled'): Promise<void> {
    const all = [...this.#entries.values()].flatMap(ofOrigin => [...ofOrigin.values()]);
    const meant = all.filter(({ subscription }) => origin === undefined || subscription.origin === origin);
    await Promise.all(meant.map(({ subscription: { id, origin } }) => this.close(id, origin, reason)));
  }

  /** Closes the connections that were opened for a URL. Ends no subscription. May be called twice. */
  async disconnect(): Promise<void> {
    await this.#backend.close();
  }

  #listen(): Promise<unknown> {
    return this.#backend.bus(bus =>
      bus.subscribe(TOPIC, text => {
        const message = JSON.parse(text) as { from?: unknown; notification: Notification };
        if (message.from !== this.#pod) this.#deliver(message.notification);
      })
    );
  }

  #deliver(notification: Notification): void {
    for (const ofOrigin of this.#entries.values()) {
      for (const entry of ofOrigin.values()) {
        if (!entry.closing && isWanted(entry.subscription.filters, notification)) this.#enqueue(entry, notification);
      }
    }
  }

  #enqueue(entry: Entry, notification: Notification): void {
    if (++entry.waiting > MAX_WAITING) {
      this.#backend.report(new SlowClientError(`${MAX_WAITING} notifications wait for a client: its stream is closed`));
      const { id, origin } = entry.subscription;
      return void this.close(id, origin, 'cancelled').catch((error: unknown) => this.#backend.report(error));
    }
    const send = entry.callbacks.send as (notification: Notification) => void | Promise<void>;
    entry.queue = entry.queue
      .then(() => send(notification))
      .catch((error: unknown) => this.#backend.report(new Error(`A notification was not sent: ${messageOf(error)}`)))
      .finally(() => entry.waiting--);
  }

  #remove(entry: Entry): void {
    const { origin, id } = entry.subscription;
    const ofOrigin = this.#entries.get(origin);
    if (ofOrigin?.get(id) === entry) ofOrigin.delete(id);
    if (ofOrigin?.size === 0) this.#entries.delete(origin);
  }
}

function isWanted(filters: SubscriptionFilters, { method, params }: Notification): boolean {
  switch (method) {
    case 'notifications/tools/list_changed':
      return filters.toolsListChanged === true;
    case 'notifications/prompts/list_changed':
      return filters.promptsListChanged === true;
    case 'notifications/resources/list_changed':
      return filters.resourcesListChanged === true;
    case 'notifications/resources/updated':
      return typeof params?.uri === 'string' && (filters.resourceSubscriptions?.includes(params.uri) ?? false);
    default:
      return false;
  }
}
