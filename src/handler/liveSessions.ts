import { unref } from '../deadline.js';
import type { Engine } from '../engine/engine.js';
import type { PodEvents } from '../events/podEvents.js';
import type { ReportError } from '../report.js';
import { closeServer, type ConnectableServer } from './serverFactory.js';
import { clearInterval, performance, setInterval } from '../timers.js';

/** A session's server on this pod. */
export interface LiveSession {
  readonly engine: Engine;
  readonly server: ConnectableServer;
  /** By `performance.now()`. */
  lastUsed: number;
}

export interface LiveSessionsOptions {
  idleTimeoutMs: number;
  maxLiveSessions: number;
  report: ReportError;
  events: PodEvents;
}

const MAX_SWEEP_INTERVAL_MS = 30_000;

/**
 * The sessions that are live on this pod, least recently used first. It forgets sessions, but never ends one: a session
 * in a store stays there.
 */
export class LiveSessions {
  readonly #options: LiveSessionsOptions;
  readonly #sessions = new Map<string, LiveSession>();
  #sweeper: ReturnType<typeof setInterval> | undefined;
  /** Servers that are being built and are not in the map yet. */
  #reserved = 0;

  constructor(options: LiveSessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#sessions.size;
  }

  /** The number of exchanges and requests of all sessions that have no answer. */
  get inFlight(): number {
    let count = 0;
    for (const { engine } of this.#sessions.values()) count += engine.inFlight;
    return count;
  }

  /** The option `maxLiveSessions`. */
  get limit(): number {
    return this.#options.maxLiveSessions;
  }

  *[Symbol.iterator](): Iterator<LiveSession> {
    yield* this.#sessions.values();
  }

  /** Returns a session and does not count this as use. */
  peek(sessionId: string): LiveSession | undefined {
    return this.#sessions.get(sessionId);
  }

  /** Returns a session to serve an exchange. Counts as use. */
  use(sessionId: string): LiveSession | undefined {
    const session = this.#sessions.get(sessionId);
    if (!session) return undefined;
    session.lastUsed = performance.now();
    this.#sessions.delete(sessionId);
    this.#sessions.set(sessionId, session);
    return session;
  }

  /**
   * Reserves room for one more session. If the pod is full, the least recently used idle session is forgotten.
   * @returns whether there is room; then call {@link release} after the session was added or building it failed
   */
  reserve(): boolean {
    if (this.#sessions.size + this.#reserved >= this.#options.maxLiveSessions && !this.#forgetOneIdle()) return false;
    this.#reserved++;
    return true;
  }

  release(): void {
    this.#reserved--;
  }

  /** Keeps a session until it is forgotten or its transport closes. */
  add(sessionId: string, engine: Engine, server: ConnectableServer): LiveSession {
    const session = { engine, server, lastUsed: performance.now() };
    this.#sessions.set(sessionId, session);
    const onclose = engine.onclose;
    engine.onclose = () => {
      if (this.#sessions.get(sessionId) === session) this.#sessions.delete(sessionId);
      onclose?.();
    };
    this.#startSweeping();
    return session;
  }

  /** Closes the server and the transport of every session. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    await Promise.all([...this.#sessions.values()].map(session => closeServer(session.server, this.#options.report)));
    this.#sessions.clear();
  }

  #startSweeping(): void {
    const { idleTimeoutMs } = this.#options;
    if (this.#sweeper || idleTimeoutMs === 0) return;
    this.#sweeper = setInterval(() => this.#sweep(), Math.min(Math.ceil(idleTimeoutMs / 2), MAX_SWEEP_INTERVAL_MS));
    unref(this.#sweeper);
  }

  #sweep(): void {
    const idleSince = performance.now() - this.#options.idleTimeoutMs;
    for (const [sessionId, session] of [...this.#sessions]) {
      // The idle time starts at the last check that found an open stream or request.
      if (session.engine.busy) this.use(sessionId);
      else if (session.lastUsed <= idleSince) this.#forget(sessionId, session, 'idle');
    }
    if (this.#sessions.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #forgetOneIdle(): boolean {
    for (const [sessionId, session] of this.#sessions) {
      if (session.engine.busy) continue;
      this.#forget(sessionId, session, 'capacity');
      return true;
    }
    return false;
  }

  #forget(sessionId: string, session: LiveSession, cause: 'idle' | 'capacity'): void {
    this.#sessions.delete(sessionId);
    this.#options.events.forgotten(sessionId, cause);
    void closeServer(session.server, this.#options.report);
  }
}
