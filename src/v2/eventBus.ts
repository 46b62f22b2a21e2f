import type { ServerEvent, ServerEventBus } from '@modelcontextprotocol/server';
import { unref } from '../deadline.js';
import { BusMessageTooLargeError, BusUnavailableError } from '../errors.js';
import { SESSION_BUS_METHODS, type SessionBus } from '../ports/sessionBus.js';
import { reportTo, warnOf } from '../report.js';
import { clearTimeout, setTimeout } from '../timers.js';
import { checkFunction, checkMethods, checkOptionsObject, checkString } from '../validate.js';

/** The options of {@link SharedServerEventBus}. */
export interface SharedServerEventBusOptions {
  /** Carries the events between pods: the bus of a session store, or one of its own. It stays the caller's. */
  bus: SessionBus;
  /** Events reach only buses with the same namespace. @default none */
  namespace?: string;
  /** Called if an event could not be sent to, or received from, other pods, and if a listener throws. */
  onerror?: (error: Error) => void;
}

const OPTION_NAMES: Readonly<Record<keyof SharedServerEventBusOptions, true>> = {
  bus: true,
  namespace: true,
  onerror: true
};

const TOPIC = 'server-events';
const VERSION = 1;
/** How many events may wait for the bus of a pod. One more is dropped, and reported. */
const MAX_PENDING = 1000;
const MAX_EVENT_BYTES = 1_048_576;
const RETRY_MS = 1000;
const KINDS: readonly string[] = [
  'tools_list_changed',
  'prompts_list_changed',
  'resources_list_changed',
  'resource_updated'
] satisfies ServerEvent['kind'][];

/**
 * The SDK's bus for `subscriptions/listen`, on all pods: an event that one pod publishes reaches the listeners of every
 * pod. Listeners of the same pod get it at once and exactly once; other pods get it at most once. Pass it as the option
 * `bus` to the SDK's own `createMcpHandler`; the handler of this package has one already.
 */
export class SharedServerEventBus implements ServerEventBus {
  readonly #bus: SessionBus;
  readonly #namespace: string | undefined;
  readonly #onerror: (error: Error) => void;
  readonly #from = globalThis.crypto.randomUUID();
  readonly #listeners = new Set<(event: ServerEvent) => void>();
  #pending = 0;
  #subscription: Promise<(() => Promise<void>) | undefined> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** @throws InvalidOptionError */
  constructor(options: SharedServerEventBusOptions) {
    checkOptionsObject('options', options, OPTION_NAMES);
    checkMethods('bus', options.bus, SESSION_BUS_METHODS);
    checkString('namespace', options.namespace);
    checkFunction('onerror', options.onerror);
    this.#bus = options.bus;
    this.#namespace = options.namespace;
    this.#onerror = options.onerror ?? warnOf;
  }

  /** Gives an event to the listeners of this pod, and sends it to the other pods. Does not throw. */
  publish(event: ServerEvent): void {
    this.#deliver(event);
    void this.#send(event);
  }

  /** @returns a function that ends the subscription; it may be called twice */
  subscribe(listener: (event: ServerEvent) => void): () => void {
    // Each subscription is its own, also of a function that has subscribed before.
    const own = (event: ServerEvent): void => listener(event);
    this.#listeners.add(own);
    void this.ready();
    return () => void this.#listeners.delete(own);
  }

  /** Settles after the first attempt to listen to the other pods. A failure is reported, and it is tried again. */
  async ready(): Promise<void> {
    if (this.#closed) return;
    this.#subscription ??= this.#listen();
    await this.#subscription;
  }

  /** Stops to listen to the other pods. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    const subscription = this.#subscription;
    this.#subscription = undefined;
    try {
      await (
        await subscription
      )?.();
    } catch (error) {
      this.#report(new BusUnavailableError('unsubscribe failed', { cause: error }));
    }
  }

  async #listen(): Promise<(() => Promise<void>) | undefined> {
    try {
      return await this.#bus.subscribe(TOPIC, text => this.#receive(text));
    } catch (error) {
      this.#report(new BusUnavailableError('subscribe failed', { cause: error }));
      this.#subscription = undefined;
      if (!this.#closed) {
        this.#retry = setTimeout(() => void this.ready(), RETRY_MS);
        unref(this.#retry);
      }
      return undefined;
    }
  }

  async #send(event: ServerEvent): Promise<void> {
    if (this.#pending >= MAX_PENDING) {
      return this.#report(new BusUnavailableError(`An event was not sent to other pods: ${MAX_PENDING} are waiting`));
    }
    this.#pending++;
    try {
      const text = JSON.stringify({ v: VERSION, from: this.#from, namespace: this.#namespace, event });
      if (text.length > MAX_EVENT_BYTES) {
        throw new BusMessageTooLargeError(`An event for other pods exceeds ${MAX_EVENT_BYTES} bytes`);
      }
      await this.#bus.publish(TOPIC, text);
    } catch (error) {
      this.#report(
        error instanceof BusMessageTooLargeError ? error : new BusUnavailableError('publish failed', { cause: error })
      );
    } finally {
      this.#pending--;
    }
  }

  #receive(text: string): void {
    try {
      const { v, from, namespace, event } = JSON.parse(text) as Record<string, unknown>;
      // Listeners of this pod have got it already.
      if (from === this.#from || this.#closed || namespace !== this.#namespace) return;
      if (v !== VERSION) throw new Error(`it is of version ${String(v)}, this pod supports ${VERSION}`);
      if (!isEvent(event)) throw new Error('it is not an event that this pod knows');
      this.#deliver(event);
    } catch (error) {
      this.#report(new BusUnavailableError(`Dropped an event of another pod: ${(error as Error).message}`));
    }
  }

  #deliver(event: ServerEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#report(error as Error);
      }
    }
  }

  #report(error: Error): void {
    reportTo(this.#onerror, error);
  }
}

function isEvent(value: unknown): value is ServerEvent {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, uri, params } = value as Record<string, unknown>;
  if (params !== undefined && (typeof params !== 'object' || params === null)) return false;
  return typeof kind === 'string' && KINDS.includes(kind) && (kind !== 'resource_updated' || typeof uri === 'string');
}
