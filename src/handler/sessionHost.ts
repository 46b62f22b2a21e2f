import { pause } from '../deadline.js';
import { type Admitted, lookUp, type LookupHost } from '../engine/session/lookup.js';
import type { Engine } from '../engine/engine.js';
import { type Exchange, isReply, type Reply, waitsOf } from '../engine/http/exchange.js';
import type { ReportError } from '../report.js';
import { type Intake, takeIn } from '../engine/http/parseRequest.js';
import type { ResolvedOptions } from '../engine/options.js';
import { isRequest } from '../engine/http/jsonRpc.js';
import { refuseVersion } from '../engine/http/protocolVersion.js';
import { otherPodsOf } from '../engine/pods/peers.js';
import { type Ending, terminate } from '../engine/session/termination.js';
import {
  errorReply,
  INTERNAL_ERROR,
  INVALID_REQUEST,
  refuse,
  refuseNotFound,
  serviceUnavailable,
  TRANSPORT_ERROR
} from '../engine/http/replies.js';
import { isSessionId } from '../ports/sessionId.js';
import { PodUnavailableError } from '../errors.js';
import { engineOf } from '../adapters/httpServerTransport.js';
import { ServerBuilder } from './buildServer.js';
import type { LiveSession, LiveSessions } from './liveSessions.js';
import { closeServer, type ConnectableServer, type ServerFactory } from './serverFactory.js';
import type { Notifier } from './notifier.js';
import type { OpeningLimits } from './openingLimits.js';
import { isOwnSession } from './ownSessions.js';
import { performance, setTimeout } from '../timers.js';

/** How often a draining pod checks whether its requests have finished. */
const DRAIN_POLL_MS = 20;

/** Finds, opens and recovers the session of each exchange, and lets its engine answer. */
export class SessionHost implements LookupHost {
  readonly #builder: ServerBuilder;
  readonly options: ResolvedOptions;
  readonly #sessions: LiveSessions;
  readonly #notifier: Notifier;
  readonly #openings: OpeningLimits;
  readonly report: ReportError;
  /** Recoveries under way. Concurrent requests of one session wait for the same recovery. */
  readonly #recoveries = new Map<string, Promise<LiveSession | Reply>>();
  readonly #releaseBus: () => Promise<void>;
  /** Settles after the adapter has written the answers it has received. */
  readonly #answersWritten: () => Promise<void>;
  #exchanges = 0;
  #closing: Promise<void> | undefined;
  /** Whether new work is refused. Set some time after `close` was called. */
  #draining = false;
  /** Whether the sessions of this pod were closed. No work may begin then. */
  #left = false;

  constructor(
    factory: ServerFactory,
    options: ResolvedOptions,
    sessions: LiveSessions,
    notifier: Notifier,
    openings: OpeningLimits,
    report: ReportError,
    answersWritten: () => Promise<void>
  ) {
    this.#answersWritten = answersWritten;
    this.#notifier = notifier;
    this.#openings = openings;
    this.#builder = new ServerBuilder(factory, options, report);
    this.options = options;
    this.#sessions = sessions;
    this.report = report;
    this.#releaseBus = options.retainBus();
  }

  async handle(exchange: Exchange): Promise<Reply> {
    this.#exchanges++;
    try {
      const intake = await takeIn(exchange, this.options, this.report);
      if (isReply(intake)) return this.#sendingAway(intake);
      const isRefused = this.#draining && !this.#finishesWork(exchange, intake);
      return this.#sendingAway(
        isRefused ? this.#unavailable('The pod is shutting down') : await this.#route(exchange, intake)
      );
    } finally {
      this.#exchanges--;
    }
  }

  async terminateSession(sessionId: string): Promise<void> {
    if (!isSessionId(sessionId)) return;
    const live = this.#sessions.peek(sessionId)?.engine;
    if (live) return live.terminate();
    const { storeAccess } = this.options;
    if (!storeAccess || !(await isOwnSession(sessionId, this.options))) return;
    await storeAccess.remove(sessionId);
    await otherPodsOf(sessionId, this.options, this.report).ended();
  }

  /** Whether a balancer should send requests here. */
  get ready(): boolean {
    return this.#closing === undefined;
  }

  close(delayMs: number, drainMs: number): Promise<void> {
    this.#closing ??= this.#leave(delayMs, drainMs);
    return this.#closing;
  }

  async #route(exchange: Exchange, intake: Intake): Promise<Reply> {
    const sessionId = exchange.header('mcp-session-id') ?? '';
    const known = this.#sessions.peek(sessionId);
    const admitted = await this.#lookUp(exchange, intake, sessionId, known);
    if (isReply(admitted)) return admitted;
    if (admitted.kind === 'opens') return this.#open(exchange, intake, admitted);

    const live = this.#sessions.use(sessionId);
    // If the session was recovered and changed here meanwhile, the record may lack the change. So it is looked up
    // again.
    const isOutdated = live !== known && live?.engine.stored?.ownChanges;
    if (live) return live.engine.serve(exchange, intake, isOutdated ? undefined : admitted);
    if (intake.kind === 'delete') return this.#terminate(sessionId, exchange);
    const recovered = await this.#recover(sessionId, exchange);
    return isReply(recovered) ? recovered : recovered.engine.serve(exchange, intake, admitted);
  }

  async #lookUp(
    exchange: Exchange,
    intake: Intake,
    sessionId: string,
    known: LiveSession | undefined
  ): Promise<Admitted | Reply> {
    const admitted = await lookUp(this, exchange, intake, known?.engine.stored);
    if (isReply(admitted) || admitted.kind === 'stored') return admitted;
    if (admitted.kind === 'local') {
      if (known) return admitted;
      if (sessionId) return refuseNotFound(this.report);
      return refuse(this.report, 400, TRANSPORT_ERROR, 'Bad Request: Mcp-Session-Id header is required');
    }
    const isOpen = known && this.options.mode === 'memory';
    return isOpen ? refuse(this.report, 400, INVALID_REQUEST, 'Invalid Request: Server already initialized') : admitted;
  }

  /** Ends a session that is not live here, without building a server. */
  async #terminate(sessionId: string, exchange: Exchange): Promise<Reply> {
    const { options, report } = this;
    const otherPods = otherPodsOf(sessionId, options, report);
    const onEnded = async (): Promise<void> => this.onMissing(sessionId);
    const ending: Ending = { sessionId, options, report, otherPods, removal: undefined, onEnded };
    return refuseVersion(exchange, report) ?? terminate(ending, waitsOf(exchange, options));
  }

  async onMissing(sessionId: string): Promise<void> {
    await this.#sessions.peek(sessionId)?.engine.onEnded();
  }

  tellEnded(sessionId: string): void {
    void otherPodsOf(sessionId, this.options, this.report).ended();
  }

  async #open(exchange: Exchange, intake: Intake, admitted: Admitted): Promise<Reply> {
    const opened = await this.#openings.begin(exchange);
    if (isReply(opened)) return opened;
    if (!this.#sessions.reserve()) {
      opened();
      return this.#full();
    }
    try {
      const built = await this.#build(exchange, undefined);
      if (isReply(built)) return built;
      const { engine, server } = built;
      const reply = await engine.serve(exchange, intake, admitted);
      const isOpen = reply.status === 200 && !this.#left;
      // Add it before the reply is sent, so that the client's next request finds it.
      if (isOpen && engine.sessionId !== undefined && !engine.closed) {
        this.#sessions.add(engine.sessionId, engine, server);
        return reply;
      }
      if (!isOpen && !engine.ended) await engine.lifecycle.discard();
      await closeServer(server, this.report);
      return this.#left ? this.#unavailable('The pod is shutting down') : reply;
    } finally {
      opened();
      this.#sessions.release();
    }
  }

  #recover(sessionId: string, exchange: Exchange): Promise<LiveSession | Reply> {
    let recovery = this.#recoveries.get(sessionId);
    if (!recovery) {
      recovery = this.#rebuild(sessionId, exchange).finally(() => this.#recoveries.delete(sessionId));
      this.#recoveries.set(sessionId, recovery);
    }
    return recovery;
  }

  async #rebuild(sessionId: string, exchange: Exchange): Promise<LiveSession | Reply> {
    if (!this.#sessions.reserve()) return this.#full();
    try {
      const built = await this.#build(exchange, sessionId);
      if (isReply(built)) return built;
      const session = this.#sessions.add(sessionId, built.engine, built.server);
      // It has no requests yet, so it looks idle. Keep it until the waiting requests have begun.
      const release = built.engine.retain();
      setTimeout(release, 0);
      return session;
    } finally {
      this.#sessions.release();
    }
  }

  async #build(
    exchange: Exchange,
    sessionId: string | undefined
  ): Promise<{ engine: Engine; server: ConnectableServer } | Reply> {
    try {
      const { transport, server } = await this.#builder.build(exchange, sessionId);
      if (this.#left) {
        await closeServer(server, this.report);
        return this.#unavailable('The pod is shutting down');
      }
      this.#notifier.listen();
      return { engine: engineOf(transport), server };
    } catch (error) {
      this.report(error as Error);
      return errorReply(500, INTERNAL_ERROR, 'Internal error');
    }
  }

  /** Serves new requests for `delayMs`, then finishes the open requests, then closes. */
  async #leave(delayMs: number, drainMs: number): Promise<void> {
    if (delayMs > 0) await pause(delayMs);
    this.#draining = true;
    // Not Date.now(): a change of the system clock must not cut off requests or delay the shutdown.
    const deadline = performance.now() + drainMs;
    for (const { engine } of this.#sessions) engine.handOver();
    while (this.#inFlight() > 0 && performance.now() < deadline) {
      await pause(DRAIN_POLL_MS);
    }
    // The Node adapter writes answers at the end of the turn.
    await this.#answersWritten();
    this.#left = true;
    await this.#sessions.close();
    await this.#notifier.close();
    await this.#releaseBus();
  }

  #inFlight(): number {
    let count = this.#exchanges;
    for (const { engine } of this.#sessions) count += engine.inFlight;
    return count;
  }

  /** While the pod drains, its open requests still receive the messages of their clients. */
  #finishesWork(exchange: Exchange, intake: Intake): boolean {
    const sessionId = exchange.header('mcp-session-id');
    const live = sessionId ? this.#sessions.peek(sessionId) : undefined;
    return live !== undefined && intake.kind === 'post' && !intake.messages.some(isRequest);
  }

  #full(): Reply {
    return this.#unavailable('The pod is full');
  }

  #unavailable(message: string): Reply {
    this.report(new PodUnavailableError(message));
    return serviceUnavailable(message);
  }

  /** Makes the client close its connection, so that its next request goes to another pod. */
  #sendingAway(reply: Reply): Reply {
    return this.#closing ? { ...reply, headers: { ...reply.headers, connection: 'close' } } : reply;
  }
}
