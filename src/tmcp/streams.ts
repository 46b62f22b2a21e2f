import { SlowClientError } from '../errors.js';
import { unref } from '../deadline.js';
import { attached } from './attached.js';
import { ManagerBackend, type SessionManagerOptions, type SharedBackend } from './backend.js';
import { nameOf, type StreamMessage, parseMessage } from './messages.js';
import { clearInterval, setInterval } from '../timers.js';

/** The stream of a session on this pod. */
interface LocalStream {
  readonly controller: ReadableStreamDefaultController;
  readonly token: string;
  readonly lock: string;
  readonly heartbeat: ReturnType<typeof setInterval>;
  unsubscribe?: () => Promise<void>;
  isEnded: boolean;
}

const ALL = 'tmcp-streams';
/** If a pod dies, its clients can open a stream again after this time. */
const LEASE_MS = 10_000;
const HEARTBEAT_MS = LEASE_MS / 3;
/** How long the question whether a stream is open could keep a new stream from its lock, if the asking pod dies. */
const PROBE_MS = 1000;
/** A stream is closed if its client has not read this number of messages. */
const MAX_UNREAD = 10_000;
const encoder = new TextEncoder();

/**
 * The streams of tmcp's sessions on all pods that share a backend. A message for a session reaches the pod that holds
 * its stream. Pass it to tmcp's transports as `sessionManager.streams`.
 *
 * A session has one stream: `has` is true on every pod while it is open, and a new one replaces it. Messages are
 * delivered at most once.
 */
export class SharedStreamSessionManager {
  readonly #backend: ManagerBackend;
  readonly #pod = globalThis.crypto.randomUUID();
  readonly #streams = new Map<string, LocalStream>();
  #hearsAll: Promise<unknown> | undefined;

  /**
   * @param backend - the URL of a Redis (`redis://` or `rediss://`, with `user:password@` if needed), or an object with a
   *   `sessionStore` that has locks, and a `sessionBus`
   * @throws InvalidOptionError
   */
  constructor(backend: string | SharedBackend, options: SessionManagerOptions = {}) {
    const needs = { store: ['acquireLock', 'renewLock', 'releaseLock'], bus: true } as const;
    this.#backend = new ManagerBackend(backend, needs, options);
  }

  /**
   * Registers the stream of a session on this pod. It receives messages from the moment at which this resolves. A stream
   * of the session that another pod holds is closed.
   * @throws SessionStoreUnavailableError, BackendUnavailableError, or the error of the bus
   */
  async create(id: string, controller: ReadableStreamDefaultController): Promise<void> {
    const name = await nameOf(id);
    this.#hearsAll ??= this.#subscribe(ALL, message => this.#onMessage(undefined, message)).catch((error: unknown) => {
      this.#hearsAll = undefined;
      throw error;
    });
    await this.#hearsAll;
    const before = this.#streams.get(id);
    const token = globalThis.crypto.randomUUID();
    const heartbeat = setInterval(() => void this.#hold(name, token), HEARTBEAT_MS);
    unref(heartbeat);
    const stream: LocalStream = { controller, token, lock: name, heartbeat, isEnded: false };
    this.#streams.set(id, stream);
    attached.add(id);
    try {
      if (before) await this.#end(id, before);
      stream.unsubscribe = await this.#subscribe(name, message => this.#onMessage(id, message));
      await this.#publish(name, { type: 'replaced', by: token });
      await this.#backend.store(store => store.acquireLock!(name, token, LEASE_MS));
    } catch (error) {
      await this.#end(id, stream);
      throw error;
    }
  }

  /** Closes the stream of a session, on whichever pod it is. @throws the error of the bus */
  async delete(id: string): Promise<void> {
    const stream = this.#streams.get(id);
    if (stream) await this.#end(id, stream);
    else await this.#publish(await nameOf(id), { type: 'delete' });
  }

  /**
   * Whether a pod holds a stream of the session.
   * @throws SessionStoreUnavailableError: a store that does not answer never means that there is no stream
   */
  async has(id: string): Promise<boolean> {
    if (this.#streams.has(id)) return true;
    const name = await nameOf(id);
    const token = globalThis.crypto.randomUUID();
    const isFree = await this.#backend.store(store => store.acquireLock!(name, token, PROBE_MS));
    await this.#backend.store(store => store.releaseLock!(name, token));
    return !isFree;
  }

  /**
   * Sends a message to the streams of sessions, on whichever pods they are. Never rejects, because tmcp does not catch
   * it: errors go to `onerror`.
   * @param sessions - undefined: all sessions
   */
  async send(sessions: string[] | undefined, data: string): Promise<void> {
    await this.#reported(async () => {
      if (sessions != null) return Promise.all(sessions.map(id => this.#sendTo(id, data)));
      this.#deliverToAll(data);
      return this.#publish(ALL, { type: 'data', from: this.#pod, data });
    });
  }

  /** Closes the streams of this pod, and the connections that were opened for a URL. May be called twice. */
  async close(): Promise<void> {
    await Promise.all([...this.#streams].map(([id, stream]) => this.#end(id, stream)));
    await this.#backend.close();
  }

  async #sendTo(id: string, data: string): Promise<void> {
    if (this.#streams.has(id)) this.#deliver(id, data);
    else await this.#publish(await nameOf(id), { type: 'data', data });
  }

  #onMessage(id: string | undefined, text: string): void {
    const message = parseMessage(text);
    if (!message) return this.#backend.report(new Error('A message of another version of this package was dropped'));
    if (message.type === 'data') {
      if (id !== undefined) return this.#deliver(id, message.data);
      if (message.from !== this.#pod) this.#deliverToAll(message.data);
      return;
    }
    const stream = id === undefined ? undefined : this.#streams.get(id);
    if (!stream || (message.type === 'replaced' && message.by === stream.token)) return;
    void this.#end(id as string, stream);
  }

  #deliverToAll(data: string): void {
    for (const id of [...this.#streams.keys()]) this.#deliver(id, data);
  }

  #deliver(id: string, data: string): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    if ((stream.controller.desiredSize ?? 0) < -MAX_UNREAD) {
      this.#backend.report(new SlowClientError(`A client left ${MAX_UNREAD} messages unread: its stream was closed`));
      return void this.#end(id, stream);
    }
    try {
      stream.controller.enqueue(encoder.encode(data));
    } catch {
      // The client is gone.
      void this.#end(id, stream);
    }
  }

  /** Holds the lock, or keeps the place in its queue: then the pod that held a stream before has died. */
  async #hold(name: string, token: string): Promise<void> {
    await this.#reported(() => this.#backend.store(store => store.acquireLock!(name, token, LEASE_MS)));
  }

  /** Never rejects: what cannot be removed from the backend expires there. */
  async #end(id: string, stream: LocalStream): Promise<void> {
    if (stream.isEnded) return;
    stream.isEnded = true;
    if (this.#streams.get(id) === stream) this.#streams.delete(id);
    attached.delete(id);
    clearInterval(stream.heartbeat);
    try {
      stream.controller.close();
    } catch {
      // It is closed already.
    }
    await this.#reported(async () => stream.unsubscribe?.());
    await this.#reported(() => this.#backend.store(store => store.releaseLock!(stream.lock, stream.token)));
  }

  async #reported(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#backend.report(error);
    }
  }

  #subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    return this.#backend.bus(bus => bus.subscribe(topic, listener));
  }

  #publish(topic: string, message: StreamMessage): Promise<void> {
    return this.#backend.bus(bus => bus.publish(topic, JSON.stringify(message)));
  }
}
