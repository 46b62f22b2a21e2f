import { EventCursorError } from 'mcp-sdk-anypod';
import type { FollowableEventStore, SessionBus, SessionData, SessionPatch, SessionStore } from 'mcp-sdk-anypod';
import type { Random } from '../soak/random.js';
import { type BusVersion, received, sent } from './busVersions.js';
import type { PodPlan } from './plan.js';
import { SimLog } from './simLog.js';
import { SimStore } from './simStore.js';
import type { SimProcess, World } from './world.js';

export type Service = 'store' | 'bus' | 'log';

/** What the network between one pod and one service does. */
export type LinkState =
  /** Answers within some milliseconds. */
  | 'up'
  /** Every call is refused, as by a server that is gone. */
  | 'refused'
  /**
   * Nothing comes back, and nothing arrives: a network that drops packets. After that, a call arrives late, or fails
   * because its connection is reset.
   */
  | 'blackhole'
  /** Calls arrive and are carried out; their answers are lost. */
  | 'answersLost'
  /** Answers take seconds. */
  | 'slow'
  /** Calls arrive seconds later, and are carried out then, though nobody waits for them any more. */
  | 'late'
  /** One call in two fails: it is refused, or its answer is lost. */
  | 'flaky'
  /** The next call fails; all later ones succeed. */
  | 'once'
  /** The service has no memory left: writes are refused, reads go on. Not of the bus. */
  | 'full'
  /** Of the bus: each message is delivered twice. A client library that reconnects may send its PUBLISH again. */
  | 'doubled';

export interface BackendOptions {
  readonly ttlSeconds: number;
  /** Whether the store has only the five required methods. */
  readonly fiveMethods: boolean;
  /** Events that the log keeps per stream. */
  readonly logKeeps: number;
}

/** The services that all pods share. They fail for all pods at once; the links to them fail for one pod. */
export class Backends {
  readonly world: World;
  readonly options: BackendOptions;
  readonly store: SimStore;
  readonly log: SimLog;
  readonly #topics = new Map<string, Set<Subscription>>();

  constructor(world: World, options: BackendOptions) {
    this.world = world;
    this.options = options;
    const random = world.fork('revisions');
    this.store = new SimStore(
      options.ttlSeconds,
      () => world.clock.now,
      () => random.between(1, 1_000_000)
    );
    this.log = new SimLog(options.logKeeps);
  }

  get subscriptions(): number {
    return [...this.#topics.values()].reduce((total, { size }) => total + size, 0);
  }

  /** How many pods listen to the messages of a session. */
  listeners(sessionId: string): number {
    return this.#topics.get(`session:${sessionId}`)?.size ?? 0;
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
  readonly #version: BusVersion;
  readonly #logMethods: PodPlan['logMethods'];
  readonly #random: Random;
  readonly #states: Record<Service, LinkState> = { store: 'up', bus: 'up', log: 'up' };
  readonly #subscriptions = new Set<{ topic: string; subscription: Subscription }>();
  /** The last arrival in each direction of each connection: a connection keeps the order. */
  readonly #last = new Map<string, number>();
  /** What waits in a network that drops packets, until it works again. */
  #dropped: { readonly service: Service; readonly goOn: () => void }[] = [];
  /** The services whose link has ever been anything but up. */
  readonly failed = new Set<Service>();

  constructor(backends: Backends, process: SimProcess, { version, logMethods }: PodPlan) {
    this.#backends = backends;
    this.#process = process;
    this.#version = version;
    this.#logMethods = logMethods;
    this.#random = backends.world.fork(`links of ${process.name}`);
  }

  set(service: Service, state: LinkState): void {
    this.#states[service] = state;
    if (state !== 'up') this.failed.add(service);
    if (state === 'blackhole') return;
    const dropped = this.#dropped;
    this.#dropped = dropped.filter(call => call.service !== service);
    for (const call of dropped) if (call.service === service) call.goOn();
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
    const { store, options } = this.#backends;
    const read = <T>(work: () => Promise<T>): Promise<T> => this.#call('store', work);
    const write = <T>(work: () => Promise<T>): Promise<T> => this.#call('store', work, true);
    const five: SessionStore = {
      ttlSeconds: options.ttlSeconds,
      storeSession: (id: string, data: SessionData) =>
        write(() => (options.fiveMethods ? store.replaceSession(id, data) : store.storeSession(id, data))),
      getSession: (id: string) => read(() => store.getSession(id)),
      updateSessionActivity: (id: string) => read(() => store.updateSessionActivity(id)),
      deleteSession: (id: string) => read(() => store.deleteSession(id)),
      sessionExists: (id: string) => read(() => store.sessionExists(id)),
      createBus: () => this.#bus()
    };
    if (options.fiveMethods) return five;
    return {
      ...five,
      touchSession: (id: string, known?: SessionData) => read(() => store.touchSession(id, known)),
      refreshSessions: (known: readonly SessionData[]) => read(() => store.refreshSessions(known)),
      patchSession: (id: string, patch: SessionPatch) => write(() => store.patchSession(id, patch))
    };
  }

  get log(): FollowableEventStore {
    const { log } = this.#backends;
    const read = <T>(work: () => Promise<T>): Promise<T> => this.#call('log', work);
    const write = <T>(work: () => Promise<T>): Promise<T> => this.#call('log', work, true);
    return {
      storeEvent: (streamId, message) => write(() => log.storeEvent(streamId, message)),
      storeLastEvent: (streamId, message) => write(() => log.storeLastEvent(streamId, message)),
      ...(this.#logMethods && { startEventId: streamId => log.startEventId(streamId) }),
      ...(this.#logMethods === 'all' && {
        storeOnlyEvent: (streamId, message) => write(() => log.storeOnlyEvent(streamId, message))
      }),
      deleteStreams: (sessionId, streamIds) => read(() => log.deleteStreams(sessionId, streamIds)),
      latestEventId: streamId => read(() => log.latestEventId(streamId)),
      getStreamIdForEventId: eventId => read(() => log.getStreamIdForEventId(eventId)),
      replayEventsAfter: async (lastEventId, { send }) => {
        const events: Parameters<typeof send>[] = [];
        const replay = (): Promise<string> =>
          log.replayEventsAfter(lastEventId, { send: async (...event) => void events.push(event) });
        const streamId = await read(replay);
        for (const event of events) await send(...event);
        return streamId;
      }
    };
  }

  #bus(): SessionBus {
    return {
      publish: (topic, message) =>
        this.#call('bus', async () => {
          for (const text of sent(this.#version, message)) this.#backends.publish(topic, text);
        }),
      subscribe: async (topic, listener) => {
        const subscription = (message: string): void => this.#arrive(message, listener);
        const entry = { topic, subscription };
        await this.#call('bus', async () => {
          if (this.#process.dead) return;
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
  #arrive(message: string, listener: (message: string) => void): void {
    const state = this.#states.bus;
    const text = received(this.#version, message);
    if (!delivers(state) || text === undefined) return;
    for (let times = state === 'doubled' ? 2 : 1; times > 0; times--) {
      this.#inOrder('bus arrivals', this.#latency(state === 'slow' || state === 'late'), () => {
        if (delivers(this.#states.bus)) this.#process.enter(() => listener(text));
      });
    }
  }

  #callState(service: Service, writes: boolean): LinkState {
    const state = this.#states[service];
    switch (state) {
      case 'flaky':
        return this.#random.of(['up', 'up', 'refused', 'answersLost'] as const);
      case 'once':
        this.#states[service] = 'up';
        return this.#random.of(['refused', 'answersLost'] as const);
      case 'full':
        return writes ? 'full' : 'up';
      default:
        return state;
    }
  }

  #call<T>(service: Service, work: () => Promise<T>, writes = false): Promise<T> {
    const { world } = this.#backends;
    const state = this.#callState(service, writes);
    if (state === 'refused' || state === 'full') {
      const problem = state === 'full' ? 'OOM command not allowed' : 'connect ECONNREFUSED';
      return new Promise((_resolve, reject) => {
        world.after(1, () => this.#process.enter(() => reject(new Error(problem))));
      });
    }
    if (state === 'blackhole') {
      return new Promise((resolve, reject) => {
        const isReset = this.#random.chance(0.5);
        const goOn = (): void => {
          if (isReset) this.#process.enter(() => reject(new Error('read ECONNRESET')));
          else this.#call(service, work, writes).then(resolve, reject);
        };
        this.#dropped.push({ service, goOn });
      });
    }
    return new Promise((resolve, reject) => {
      this.#inOrder(`${service} calls`, this.#latency(state === 'late'), () => {
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
    this.#inOrder(`${service} answers`, this.#latency(state === 'slow'), () => this.#process.enter(settle));
  }

  #latency(isLong: boolean): number {
    return isLong ? this.#random.between(500, 5000) : this.#random.between(1, 15);
  }

  #inOrder(connection: string, delayMs: number, work: () => void): void {
    const { world } = this.#backends;
    const at = Math.max(world.now + delayMs, this.#last.get(connection) ?? 0);
    this.#last.set(connection, at);
    world.after(at - world.now, work);
  }
}

function delivers(state: LinkState): boolean {
  return state !== 'refused' && state !== 'blackhole' && state !== 'answersLost';
}

/** Errors of the log that mean something cross the network as what they are. */
function revived(error: Error): Error {
  return error instanceof EventCursorError ? new EventCursorError(error.message) : error;
}
