import { EventCursorError, InMemoryEventStore, InMemorySessionStore } from 'mcp-sdk-anypod';
import type { FollowableEventStore, SessionBus, SessionData, SessionPatch, SessionStore } from 'mcp-sdk-anypod';
import type { SimProcess, World } from './world.js';

export type Service = 'store' | 'bus' | 'log';

/** What the network between one pod and one service does. */
export type LinkState =
  /** Answers within some milliseconds. */
  | 'up'
  /** Every call is refused, as by a server that is gone. */
  | 'refused'
  /** Nothing comes back, and nothing arrives: a network that drops packets. */
  | 'blackhole'
  /** Calls arrive and are carried out; their answers are lost. */
  | 'answersLost'
  /** Answers take seconds. */
  | 'slow'
  /** One call in two fails: it is refused, or its answer is lost. */
  | 'flaky'
  /** Of the bus: each message is delivered twice. A client library that reconnects may send its PUBLISH again. */
  | 'doubled';

const TTL_SECONDS = 600;

/** The services that all pods share. They never fail themselves; the links to them do. */
export class Backends {
  readonly world: World;
  readonly store: InMemorySessionStore;
  readonly log = new InMemoryEventStore();
  readonly #topics = new Map<string, Set<Subscription>>();

  constructor(world: World) {
    this.world = world;
    this.store = new InMemorySessionStore({ ttlSeconds: TTL_SECONDS, now: () => world.clock.now });
  }

  get subscriptions(): number {
    return [...this.#topics.values()].reduce((total, { size }) => total + size, 0);
  }

  subscribe(topic: string, subscription: Subscription): void {
    const subscriptions = this.#topics.get(topic) ?? new Set();
    this.#topics.set(topic, subscriptions.add(subscription));
  }

  unsubscribe(topic: string, subscription: Subscription): void {
    const subscriptions = this.#topics.get(topic);
    subscriptions?.delete(subscription);
    if (subscriptions?.size === 0) this.#topics.delete(topic);
  }

  publish(topic: string, message: string): void {
    for (const subscription of this.#topics.get(topic) ?? []) subscription(message);
  }

  /** A process that is gone has no connections. */
  forget(subscriptions: Iterable<{ topic: string; subscription: Subscription }>): void {
    for (const { topic, subscription } of subscriptions) this.unsubscribe(topic, subscription);
  }
}

type Subscription = (message: string) => void;

/** One pod's connections to the shared services. */
export class Links {
  readonly #backends: Backends;
  readonly #process: SimProcess;
  readonly #states: Record<Service, LinkState> = { store: 'up', bus: 'up', log: 'up' };
  readonly #subscriptions = new Set<{ topic: string; subscription: Subscription }>();
  /** The last arrival in each direction of each connection: a connection keeps the order. */
  readonly #last = new Map<string, number>();
  /** Whether a call to the event log has failed: then the laws of the log do not hold for what was sent. */
  logFailed = false;

  constructor(backends: Backends, process: SimProcess) {
    this.#backends = backends;
    this.#process = process;
  }

  set(service: Service, state: LinkState): void {
    this.#states[service] = state;
  }

  get healthy(): boolean {
    return Object.values(this.#states).every(state => state === 'up');
  }

  /** The process is gone, and its connections with it. */
  cut(): void {
    this.#backends.forget(this.#subscriptions);
    this.#subscriptions.clear();
  }

  get store(): SessionStore {
    const { store } = this.#backends;
    const ask = <T>(work: () => Promise<T>): Promise<T> => this.#call('store', work);
    return {
      ttlSeconds: TTL_SECONDS,
      storeSession: (id: string, data: SessionData) => ask(() => store.storeSession(id, data)),
      getSession: (id: string) => ask(() => store.getSession(id)),
      updateSessionActivity: (id: string) => ask(() => store.updateSessionActivity(id)),
      deleteSession: (id: string) => ask(() => store.deleteSession(id)),
      sessionExists: (id: string) => ask(() => store.sessionExists(id)),
      touchSession: (id: string, known?: SessionData) => ask(() => store.touchSession(id, known)),
      patchSession: (id: string, patch: SessionPatch) => ask(() => store.patchSession(id, patch)),
      createBus: () => this.#bus()
    };
  }

  get log(): FollowableEventStore {
    const { log } = this.#backends;
    const ask = <T>(work: () => Promise<T>): Promise<T> => this.#call('log', work);
    return {
      storeEvent: (streamId, message) => ask(() => log.storeEvent(streamId, message)),
      storeLastEvent: (streamId, message) => ask(() => log.storeLastEvent(streamId, message)),
      deleteStreams: sessionId => ask(() => log.deleteStreams(sessionId)),
      latestEventId: streamId => ask(() => log.latestEventId(streamId)),
      getStreamIdForEventId: eventId => ask(() => log.getStreamIdForEventId(eventId)),
      replayEventsAfter: async (lastEventId, { send }) => {
        const events: Parameters<typeof send>[] = [];
        const read = (): Promise<string> =>
          log.replayEventsAfter(lastEventId, { send: async (...event) => void events.push(event) });
        const streamId = await ask(read);
        for (const event of events) await send(...event);
        return streamId;
      }
    };
  }

  #bus(): SessionBus {
    return {
      publish: (topic, message) => this.#call('bus', async () => this.#backends.publish(topic, message)),
      subscribe: async (topic, listener) => {
        const subscription = (message: string): void => this.#arrive(() => listener(message));
        const entry = { topic, subscription };
        await this.#call('bus', async () => {
          this.#subscriptions.add(entry);
          this.#backends.subscribe(topic, subscription);
        });
        return async () => {
          this.#subscriptions.delete(entry);
          this.#backends.unsubscribe(topic, subscription);
        };
      },
      close: async () => this.cut()
    };
  }

  /** What the bus delivers comes in order on one connection, or is lost while the link is down. */
  #arrive(deliver: () => void): void {
    const state = this.#states.bus;
    if (!delivers(state)) return;
    for (let times = state === 'doubled' ? 2 : 1; times > 0; times--) {
      this.#inOrder('bus arrivals', this.#latency(state), () => {
        if (delivers(this.#states.bus)) this.#process.enter(deliver);
      });
    }
  }

  #callState(service: Service): LinkState {
    const state = this.#states[service];
    const { random } = this.#backends.world;
    return state === 'flaky' ? random.of(['up', 'up', 'refused', 'answersLost'] as const) : state;
  }

  #call<T>(service: Service, work: () => Promise<T>): Promise<T> {
    const { world } = this.#backends;
    const state = this.#callState(service);
    if (state !== 'up' && service === 'log') this.logFailed = true;
    if (state === 'refused') {
      return new Promise((_resolve, reject) => {
        world.after(1, () => this.#process.enter(() => reject(new Error('connect ECONNREFUSED'))));
      });
    }
    if (state === 'blackhole') return new Promise(() => {});
    return new Promise((resolve, reject) => {
      this.#inOrder(`${service} calls`, this.#latency('up'), () => {
        // Sent, so it is carried out though the caller dies meanwhile.
        work().then(
          result => this.#answer(service, state, () => resolve(result)),
          (error: Error) => this.#answer(service, state, () => reject(revived(error)))
        );
      });
    });
  }

  #answer(service: Service, state: LinkState, settle: () => void): void {
    if (state === 'answersLost') return;
    this.#inOrder(`${service} answers`, this.#latency(state), () => this.#process.enter(settle));
  }

  #latency(state: LinkState): number {
    const { random } = this.#backends.world;
    return state === 'slow' ? random.between(500, 5000) : random.between(1, 15);
  }

  #inOrder(connection: string, delayMs: number, work: () => void): void {
    const { world } = this.#backends;
    const at = Math.max(world.now + delayMs, this.#last.get(connection) ?? 0);
    this.#last.set(connection, at);
    world.after(at - world.now, work);
  }
}

function delivers(state: LinkState): boolean {
  return state === 'up' || state === 'slow' || state === 'flaky' || state === 'doubled';
}

/** Errors of the log that mean something cross the network as what they are. */
function revived(error: Error): Error {
  return error instanceof EventCursorError ? new EventCursorError(error.message) : error;
}
