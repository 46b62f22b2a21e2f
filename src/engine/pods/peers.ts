import { BusMessageTooLargeError, BusUnavailableError } from '../../errors.js';
import { BUS_VERSION, type BusBody, type BusMessage, parseBusMessage } from './busMessage.js';
import { exceedsBytes } from '../http/textSize.js';
import { unref, type WaitBudget, withDeadline } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import type { SessionBus } from '../../ports/sessionBus.js';
import type { OtherPods } from '../context.js';
import type { ResolvedOptions } from '../options.js';
import { clearTimeout, setTimeout } from '../../timers.js';

/** How long until a bus that refused a subscription is asked again. */
const RETRY_MS = 2000;

const saidAlone = new WeakSet<ResolvedOptions>();

/** Buses that have left a subscription unanswered for too long. */
const silentBuses = new WeakSet<SessionBus>();

/** Gets the messages of a session's servers on other pods. */
export interface BusListener {
  /** Also called for this pod's own messages, when the bus returns them. */
  onMessage(message: BusMessage): void;
  /** This pod listens from now on, and did not before: what the others sent meanwhile is lost. */
  onGap(): void;
}

/** A session's servers on other pods, as seen from this one. */
export class Peers {
  /** Names this transport among those that serve the session: in ids on the wire, and on the bus. */
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

  /** Listens to the other pods; settles when it is in effect, or has failed and been reported. */
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

  /** @throws BusMessageTooLargeError where a message of the client is too large to be sent to other pods */
  checkSize(message: JSONRPCMessage): void {
    if (this.#options.bus) checkBusMessage(JSON.stringify(message), this.#options);
  }

  /** @returns whether the bus took it; a failure has been reported */
  async publish(sessionId: string, body: BusBody, waits?: WaitBudget): Promise<boolean> {
    const { bus } = this.#options;
    if (!bus) {
      this.#sayAlone(body);
      return false;
    }
    try {
      const message: BusMessage = { ...body, v: BUS_VERSION, from: this.instance };
      const text = JSON.stringify(message);
      checkBusMessage(text, this.#options);
      await askBus('publish', this.#options, () => bus.publish(topicOf(sessionId), text), waits);
      return true;
    } catch (error) {
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
      if (isLate) this.#listener?.onGap();
    } catch (error) {
      this.#report(error as Error);
      // Late is not never: the subscription is in effect when the bus is back, and ends with the session.
      this.#unsubscribe = () => subscribed.then(unsubscribe => unsubscribe());
      subscribed.then(
        () => this.#listener?.onGap(),
        () => this.#subscribeLater(sessionId)
      );
    }
  }

  /**
   * Waits for a subscription; after one has timed out on a bus, not for any other until the bus has answered that one, so
   * that not each session waits in vain.
   */
  async #untilInEffect<T>(bus: SessionBus, subscribed: Promise<T>, waits?: WaitBudget): Promise<T> {
    const storeTimeoutMs = silentBuses.has(bus) ? 1 : this.#options.storeTimeoutMs;
    let isAnswered = false;
    const answered = (): void => {
      isAnswered = true;
      silentBuses.delete(bus);
    };
    subscribed.then(answered, answered);
    try {
      return await askBus('subscribe', { storeTimeoutMs }, () => subscribed, waits);
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

  /** Apart, because the listener keeps what is in its scope. */
  async #listen(bus: SessionBus, sessionId: string): Promise<() => Promise<void>> {
    return bus.subscribe(topicOf(sessionId), text => this.#hear(text));
  }

  #hear(text: string): void {
    let message: BusMessage;
    try {
      message = parseBusMessage(text);
    } catch (error) {
      return this.#report(new BusUnavailableError(`Dropped a message of another pod: ${(error as Error).message}`));
    }
    if ('to' in message && message.to !== this.instance) return;
    this.#listener?.onMessage(message);
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

/** @throws BusMessageTooLargeError where a text is larger than what pods may send each other */
export function checkBusMessage(
  text: string,
  { maxBusMessageBytes }: Pick<ResolvedOptions, 'maxBusMessageBytes'>
): void {
  if (!exceedsBytes(text, maxBusMessageBytes)) return;
  throw new BusMessageTooLargeError(
    `A message to other pods takes more than ${maxBusMessageBytes} bytes (maxBusMessageBytes)`
  );
}

/**
 * @param waits - of the exchange that waits for the call, if one does
 * @throws BusUnavailableError if the bus fails, or has not answered within `storeTimeoutMs` or what is left of `waits`
 */
export async function askBus<T>(
  call: string,
  { storeTimeoutMs }: Pick<ResolvedOptions, 'storeTimeoutMs'>,
  run: () => Promise<T>,
  waits?: WaitBudget
): Promise<T> {
  const timeoutMs = waits ? waits.begin(storeTimeoutMs) : storeTimeoutMs;
  try {
    return await withDeadline(run, timeoutMs);
  } catch (error) {
    throw new BusUnavailableError(`${call} failed`, { cause: error });
  } finally {
    waits?.end();
  }
}

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
