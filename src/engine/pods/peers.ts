import { BusMessageTooLargeError, BusUnavailableError } from '../../errors.js';
import { BUS_VERSION, type BusBody, type BusMessage, parseBusMessage } from './busMessage.js';
import { exceedsBytes } from '../http/textSize.js';
import { unref, type WaitBudget } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import type { JSONRPCMessage } from '../../sdkTypes.js';
import type { SessionBus } from '../../ports/sessionBus.js';
import type { OtherPods } from '../context.js';
import type { ResolvedOptions } from '../options.js';
import { clearTimeout, setTimeout } from '../../timers.js';
import { ObservedBusMessage } from '../../events/observed.js';
import type { PortErrors } from '../../events/portCalls.js';

/** How long to wait after a bus refused a subscription. */
const RETRY_MS = 2000;

const warnedOfMissingBus = new WeakSet<ResolvedOptions>();

/** Buses that did not answer a subscription in time. */
const silentBuses = new WeakSet<SessionBus>();

/** Gets the messages of a session's servers on other pods. */
export interface BusListener {
  /** Also called for this pod's own messages, when the bus returns them. */
  onMessage(message: BusMessage): void;
  /** This pod has just started to listen. Earlier messages of the other pods are lost. */
  onMissedMessages(): void;
}

/** A session's servers on other pods, as seen from this one. */
export class Peers {
  /** Identifies this transport among those that serve the session: in ids on the wire, and on the bus. */
  readonly instance = globalThis.crypto.randomUUID().replaceAll('-', '').slice(0, 12);
  readonly #options: ResolvedOptions;
  readonly #listener: BusListener | undefined;
  readonly #report: ReportError;
  #joined: Promise<void> | undefined;
  #unsubscribe: (() => Promise<void>) | undefined;
  #left = false;

  constructor(options: ResolvedOptions, listener: BusListener | undefined, report: ReportError) {
    this.#options = options;
    this.#listener = listener;
    this.#report = report;
  }

  /** Subscribes to the other pods. Settles after the subscription is in effect, or its failure was reported. */
  async join(sessionId: string, waits?: WaitBudget): Promise<void> {
    if (!this.#unsubscribe) await this.#join(sessionId, false, waits);
  }

  async leave(): Promise<void> {
    this.#left = true;
    try {
      await this.#joined;
      await this.#unsubscribe?.();
    } catch (error) {
      this.#report(new BusUnavailableError('unsubscribe failed', { cause: error }));
    }
  }

  /** @throws BusMessageTooLargeError if a message of the client is too large to send to other pods */
  checkSize(message: JSONRPCMessage): void {
    if (this.#options.bus) checkBusMessage(JSON.stringify(message), this.#options);
  }

  /** @returns whether the bus took it; a failure has been reported */
  async publish(sessionId: string, body: BusBody, waits?: WaitBudget): Promise<boolean> {
    const { bus } = this.#options;
    if (!bus) {
      this.#warnOfMissingBus(body);
      return false;
    }
    const observed = ObservedBusMessage.begin('out', body.type, sessionId);
    try {
      const message: BusMessage = { ...body, v: BUS_VERSION, from: this.instance };
      if (observed?.traceparent !== undefined) message.traceparent = observed.traceparent;
      const text = JSON.stringify(message);
      checkBusMessage(text, this.#options);
      await askBus('publish', this.#options, () => bus.publish(topicOf(sessionId), text), waits);
      observed?.end(true);
      return true;
    } catch (error) {
      observed?.end(false);
      this.#report(error as Error);
      return false;
    }
  }

  #join(sessionId: string, isLate: boolean, waits?: WaitBudget): Promise<void> {
    this.#joined ??= this.#subscribe(sessionId, isLate, waits).finally(() => (this.#joined = undefined));
    return this.#joined;
  }

  async #subscribe(sessionId: string, isLate: boolean, waits: WaitBudget | undefined): Promise<void> {
    const { bus } = this.#options;
    if (!bus) return;
    const subscribed = this.#listen(bus, sessionId);
    try {
      this.#unsubscribe = await this.#untilInEffect(bus, subscribed, waits);
      if (isLate) this.#listener?.onMissedMessages();
    } catch (error) {
      this.#report(error as Error);
      // A late subscription still takes effect when the bus recovers. It ends with the session.
      this.#unsubscribe = () => subscribed.then(unsubscribe => unsubscribe());
      subscribed.then(
        () => this.#listener?.onMissedMessages(),
        () => this.#subscribeLater(sessionId)
      );
    }
  }

  /**
   * Waits for a subscription. After one has timed out on a bus, others do not wait until the bus has answered that one,
   * so that not every session waits for the timeout.
   */
  async #untilInEffect<T>(bus: SessionBus, subscribed: Promise<T>, waits?: WaitBudget): Promise<T> {
    const { events } = this.#options;
    const storeTimeoutMs = silentBuses.has(bus) ? 1 : this.#options.storeTimeoutMs;
    let isAnswered = false;
    const answered = (): void => {
      isAnswered = true;
      silentBuses.delete(bus);
    };
    subscribed.then(answered, answered);
    try {
      return await askBus('subscribe', { storeTimeoutMs, events }, () => subscribed, waits);
    } catch (error) {
      if (!isAnswered) silentBuses.add(bus);
      throw error;
    }
  }

  #subscribeLater(sessionId: string): void {
    if (this.#left) return;
    const timer = setTimeout(() => {
      this.#unsubscribe = undefined;
      void this.#join(sessionId, true);
    }, RETRY_MS);
    unref(timer);
    this.#unsubscribe = async () => clearTimeout(timer);
  }

  /** A separate method, because the listener keeps its whole scope in memory. */
  async #listen(bus: SessionBus, sessionId: string): Promise<() => Promise<void>> {
    return bus.subscribe(topicOf(sessionId), text => this.#onText(text, sessionId));
  }

  #onText(text: string, sessionId: string): void {
    let message: BusMessage;
    try {
      message = parseBusMessage(text);
    } catch (error) {
      return this.#report(new BusUnavailableError(`Dropped a message of another pod: ${(error as Error).message}`));
    }
    if ('to' in message && message.to !== this.instance) return;
    const observed =
      message.from === this.instance
        ? undefined
        : ObservedBusMessage.begin('in', message.type, sessionId, message.traceparent);
    if (!observed) return this.#listener?.onMessage(message);
    if (observed.within) observed.within(() => this.#listener?.onMessage(message));
    else this.#listener?.onMessage(message);
    observed.end();
  }

  /** Reported once per handler: a session store without a bus is allowed, and most messages do not need one. */
  #warnOfMissingBus(body: BusBody): void {
    if (warnedOfMissingBus.has(this.#options)) return;
    warnedOfMissingBus.add(this.#options);
    this.#report(
      new BusUnavailableError(`The session store has no bus and sessionBus is not set: cannot route '${body.type}'`)
    );
  }
}

/** @throws BusMessageTooLargeError if a text is larger than the limit for messages between pods */
export function checkBusMessage(
  text: string,
  { maxBusMessageBytes }: Pick<ResolvedOptions, 'maxBusMessageBytes'>
): void {
  if (!exceedsBytes(text, maxBusMessageBytes)) return;
  throw new BusMessageTooLargeError(`A message to other pods exceeds ${maxBusMessageBytes} bytes (maxBusMessageBytes)`);
}

/**
 * @param waits - the time budget of the exchange that waits for the call, if there is one
 * @throws BusUnavailableError if the bus fails, or does not answer within `storeTimeoutMs` or the rest of `waits`
 */
export function askBus<T>(
  name: string,
  { storeTimeoutMs, events }: Pick<ResolvedOptions, 'storeTimeoutMs' | 'events'>,
  run: () => Promise<T>,
  waits?: WaitBudget
): Promise<T> {
  return events.bus.call({ name, run, timeoutMs: storeTimeoutMs, waits }, BUS_ERRORS);
}

const BUS_ERRORS: PortErrors = {
  late: (_name, timeoutMs) => new Error(`no answer within ${timeoutMs} ms`),
  failed: (error, name) => new BusUnavailableError(`${name} failed`, { cause: error })
};

/** The other pods of a session that this pod does not serve. */
export function otherPodsOf(
  sessionId: string,
  options: ResolvedOptions,
  report: ReportError
): Pick<OtherPods, 'changed' | 'ended'> {
  const peers = new Peers(options, undefined, report);
  return {
    changed: async waits => void (await peers.publish(sessionId, { type: 'changed' }, waits)),
    ended: async waits => void (await peers.publish(sessionId, { type: 'ended' }, waits))
  };
}

function topicOf(sessionId: string): string {
  return `session:${sessionId}`;
}
