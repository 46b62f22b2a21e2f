import type { JSONRPCMessage, ServerNotification } from '../sdkTypes.js';
import { Engine } from '../engine/engine.js';
import { isRequest } from '../engine/http/jsonRpc.js';
import { messageOf } from '../engine/http/messageForms.js';
import { isUnattended } from '../engine/unattended.js';
import type { ReportError } from '../report.js';
import type { ResolvedOptions } from '../engine/options.js';
import { ALL_PODS_TOPIC, BUS_VERSION, type BusMessage, parseBroadcast } from '../engine/pods/busMessage.js';
import { askBus, checkBusMessage } from '../engine/pods/peers.js';
import { isSessionId } from '../ports/sessionId.js';
import { BusUnavailableError, InvalidOptionError } from '../errors.js';
import type { SessionStore } from '../ports/sessionStore.js';
import { performance } from '../timers.js';
import { kindOf } from '../validate.js';
import type { LiveSessions } from './liveSessions.js';
import { isOwnSession } from './ownSessions.js';
import { keepSelf, throughWrappers } from '../wrappable.js';

/**
 * Sends notifications to many sessions, on any pods. Every method settles after the notification was sent or logged for
 * all sessions.
 */
export interface Notify {
  /** `notifications/tools/list_changed` to every session. */
  toolsChanged(): Promise<void>;
  /** `notifications/prompts/list_changed` to every session. */
  promptsChanged(): Promise<void>;
  /** `notifications/resources/list_changed` to every session. */
  resourcesChanged(): Promise<void>;
  /** `notifications/resources/updated` to the sessions subscribed to the resource. */
  resourceUpdated(uri: string): Promise<void>;
  /**
   * Sends any server notification to these sessions or, without `sessions`, to all.
   * @throws InvalidOptionError if it is not a notification
   * @throws BusUnavailableError if one message goes to all pods and the bus did not take it
   * @throws BusMessageTooLargeError if one message goes to all pods and exceeds `maxBusMessageBytes`
   */
  send(notification: ServerNotification, options?: { sessions?: readonly string[] }): Promise<void>;
}

/** How many sessions are notified concurrently. */
const CONCURRENCY = 100;

/**
 * Reaches sessions on their standalone streams. With an event store, each session's log gets the notification, so the
 * sessions are looked up one by one. Without one, only attached clients can be reached, and one message goes to all
 * pods.
 */
export class Notifier implements Notify {
  readonly #options: ResolvedOptions;
  readonly #store: SessionStore | undefined;
  readonly #sessions: LiveSessions;
  readonly #report: ReportError;
  #subscription: Promise<() => Promise<void>> | undefined;

  static {
    throughWrappers(this);
  }

  constructor(options: ResolvedOptions, sessions: LiveSessions, report: ReportError) {
    keepSelf(this);
    this.#options = options;
    this.#store = options.store;
    this.#sessions = sessions;
    this.#report = report;
  }

  toolsChanged(): Promise<void> {
    return this.send({ method: 'notifications/tools/list_changed' });
  }

  promptsChanged(): Promise<void> {
    return this.send({ method: 'notifications/prompts/list_changed' });
  }

  resourcesChanged(): Promise<void> {
    return this.send({ method: 'notifications/resources/list_changed' });
  }

  async resourceUpdated(uri: string): Promise<void> {
    if (typeof uri !== 'string') throw new InvalidOptionError('uri', kindOf(uri), 'a string');
    const message = toMessage({ method: 'notifications/resources/updated', params: { uri } });
    if (this.#store?.listSessionIds) {
      for await (const ids of this.#store.listSessionIds({ subscribedTo: uri }))
        await this.#sendToSessions(ids, message);
    } else {
      await this.#sendToAttached(message, uri);
    }
  }

  async send(notification: ServerNotification, { sessions }: { sessions?: readonly string[] } = {}): Promise<void> {
    const message = toMessage(notification);
    if (sessions !== undefined) {
      if (!Array.isArray(sessions) || !sessions.every(isSessionId)) {
        throw new InvalidOptionError('sessions', kindOf(sessions), 'an array of session ids');
      }
      return this.#sendToSessions(sessions as string[], message);
    }
    if (this.#options.eventStore && this.#store?.listSessionIds) {
      for await (const ids of this.#store.listSessionIds()) await this.#sendToSessions(ids, message);
    } else {
      await this.#sendToAttached(message);
    }
  }

  /** Listens for notifications from other pods to all sessions. Called when the first session is live here. */
  listen(): void {
    const { bus } = this.#options;
    if (!bus || this.#subscription) return;
    const { events } = this.#options;
    const startedAt = performance.now();
    this.#subscription = bus.subscribe(ALL_PODS_TOPIC, text => this.#onText(text));
    this.#subscription.then(
      () => events.bus.succeeded('subscribe', startedAt),
      (error: unknown) => {
        this.#subscription = undefined;
        const failure = new BusUnavailableError('subscribe failed', { cause: error });
        events.bus.failed('subscribe', startedAt, failure);
        this.#report(failure);
      }
    );
  }

  /** Waits at most for the timeout of one call, so a pod can shut down while the bus is unavailable. */
  async close(): Promise<void> {
    const subscribed = this.#subscription?.catch(() => undefined);
    if (subscribed) await askBus('unsubscribe', this.#options, async () => (await subscribed)?.()).catch(this.#report);
  }

  /** Logs and routes the notification for each session as the session's server does. */
  async #sendToSessions(sessionIds: readonly string[], message: JSONRPCMessage): Promise<void> {
    const waiting = [...new Set(sessionIds)];
    const work = async (): Promise<void> => {
      for (let sessionId = waiting.pop(); sessionId !== undefined; sessionId = waiting.pop()) {
        await this.#sendToSession(sessionId, message);
      }
    };
    await Promise.all(Array.from({ length: Math.min(CONCURRENCY, waiting.length) }, work));
  }

  async #sendToSession(sessionId: string, message: JSONRPCMessage): Promise<void> {
    let engine = this.#sessions.peek(sessionId)?.engine;
    if (!engine) {
      if (this.#options.mode === 'memory') return;
      if (!(await isOwnSession(sessionId, this.#options).catch(this.#report))) return;
      // This engine acts for a session that is not live here: it logs, and publishes to the pod with the attached
      // client.
      engine = new Engine(this.#options);
      engine.onerror = this.#report;
      engine.sessionId = sessionId;
    }
    const sent = (await isUnattended(engine)) ? engine.routing?.toStandaloneUnlogged(message) : engine.send(message);
    await sent?.catch(this.#report);
  }

  /** Publishes one message for all pods. Each pod sends it to the clients that are attached to it. */
  async #sendToAttached(message: JSONRPCMessage, subscribedTo?: string): Promise<void> {
    const { bus } = this.#options;
    if (!bus) return this.#sendToAttachedHere(message, subscribedTo);
    this.listen();
    // This pod also receives its own message.
    await askBus('subscribe', this.#options, async () => this.#subscription);
    const { namespace } = this.#options;
    const broadcast: BusMessage = { v: BUS_VERSION, from: '', type: 'broadcast', message, subscribedTo, namespace };
    const text = JSON.stringify(broadcast);
    checkBusMessage(text, this.#options);
    await askBus('publish', this.#options, () => bus.publish(ALL_PODS_TOPIC, text));
  }

  async #sendToAttachedHere(message: JSONRPCMessage, subscribedTo: string | undefined): Promise<void> {
    for (const { engine } of this.#sessions) {
      if (!engine.holdsStandaloneStream) continue;
      if (subscribedTo === undefined || engine.isSubscribedTo(subscribedTo)) {
        await engine.send(message).catch(this.#report);
      }
    }
  }

  #onText(text: string): void {
    try {
      const { message, subscribedTo, namespace } = parseBroadcast(text);
      const own = this.#options.namespace;
      if (own !== undefined && namespace !== undefined && namespace !== own) return;
      if (!('method' in message) || isRequest(message)) throw new Error('its message is not a notification');
      void this.#sendToAttachedHere(message, subscribedTo);
    } catch (error) {
      this.#report(new BusUnavailableError(`Dropped a message of another pod: ${(error as Error).message}`));
    }
  }
}

function toMessage(notification: ServerNotification): JSONRPCMessage {
  const message = messageOf(Object.assign({ jsonrpc: '2.0' }, notification, { jsonrpc: '2.0' }));
  if (message && 'method' in message && !isRequest(message)) return message;
  throw new InvalidOptionError('notification', kindOf(notification), 'a notification with a method');
}
