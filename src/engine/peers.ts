import { BusUnavailableError } from '../errors.js';
import { BUS_VERSION, type BusBody, type BusMessage, parseBusMessage } from './busMessage.js';
import { withDeadline } from '../deadline.js';
import type { ReportError } from './exchange.js';
import type { ResolvedOptions } from './options.js';

const saidAlone = new WeakSet<ResolvedOptions>();

/** A session's servers on other pods, as seen from this one. */
export class Peers {
  /** Names this transport among those that serve the session: in ids on the wire, and on the bus. */
  readonly instance = globalThis.crypto.randomUUID().replaceAll('-', '').slice(0, 12);
  readonly #options: ResolvedOptions;
  /** Told of this pod's own messages as well, when the bus has brought them back. */
  readonly #onmessage: (message: BusMessage) => void;
  readonly #report: ReportError;
  #joined: Promise<(() => Promise<void>) | undefined> | undefined;

  constructor(options: ResolvedOptions, onmessage: (message: BusMessage) => void, report: ReportError) {
    this.#options = options;
    this.#onmessage = onmessage;
    this.#report = report;
  }

  /** Listens to the other pods; settles when it is in effect, or has failed and been reported. */
  async join(sessionId: string): Promise<void> {
    this.#joined ??= this.#subscribe(sessionId);
    await this.#joined;
  }

  async leave(): Promise<void> {
    try {
      const unsubscribe = await this.#joined;
      await unsubscribe?.();
    } catch (error) {
      this.#report(new BusUnavailableError('unsubscribe failed', { cause: error }));
    }
  }

  /** @returns whether the bus took it; a failure has been reported */
  async publish(sessionId: string, body: BusBody): Promise<boolean> {
    const { bus } = this.#options;
    if (!bus) {
      this.#sayAlone(body);
      return false;
    }
    try {
      const message: BusMessage = { ...body, v: BUS_VERSION, from: this.instance };
      await this.#ask('publish', () => bus.publish(topicOf(sessionId), JSON.stringify(message)));
      return true;
    } catch (error) {
      this.#report(error as Error);
      return false;
    }
  }

  async #subscribe(sessionId: string): Promise<(() => Promise<void>) | undefined> {
    const { bus } = this.#options;
    if (!bus) return undefined;
    const subscribed = bus.subscribe(topicOf(sessionId), text => this.#hear(text));
    try {
      return await this.#ask('subscribe', () => subscribed);
    } catch (error) {
      this.#report(error as Error);
      // Late is not never: the subscription is in effect when the bus is back, and ends with the session.
      return () => subscribed.then(unsubscribe => unsubscribe());
    }
  }

  #hear(text: string): void {
    let message: BusMessage;
    try {
      message = parseBusMessage(text);
    } catch (error) {
      return this.#report(new BusUnavailableError(`Dropped a message of another pod: ${(error as Error).message}`));
    }
    if ('to' in message && message.to !== this.instance) return;
    this.#onmessage(message);
  }

  async #ask<T>(call: string, run: () => Promise<T>): Promise<T> {
    const { storeTimeoutMs } = this.#options;
    try {
      return await withDeadline(run, storeTimeoutMs);
    } catch (error) {
      throw new BusUnavailableError(`${call} failed`, { cause: error });
    }
  }

  /** Said once for all sessions of a host: a session store without a bus is a choice, and most of what they do needs none. */
  #sayAlone(body: BusBody): void {
    if (saidAlone.has(this.#options)) return;
    saidAlone.add(this.#options);
    this.#report(
      new BusUnavailableError(`The session store brings no bus and sessionBus is not set: cannot route '${body.type}'`)
    );
  }
}

function topicOf(sessionId: string): string {
  return `session:${sessionId}`;
}
