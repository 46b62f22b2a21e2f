import { pause } from '../deadline.js';
import { endingWithoutEngine } from '../engine/endingWithoutEngine.js';
import { type Admitted, lookUp, type LookupHost } from '../engine/session/lookup.js';
import type { Engine } from '../engine/engine.js';
import { type Exchange, isReply, type Reply, waitsOf } from '../engine/http/exchange.js';
import type { ReportError } from '../report.js';
import { type ParsedRequest, parseRequest } from '../engine/http/parseRequest.js';
import type { ResolvedOptions } from '../engine/options.js';
import { isRequest } from '../engine/http/jsonRpc.js';
import { refuseVersion } from '../engine/http/protocolVersion.js';
import { otherPodsOf } from '../engine/pods/peers.js';
import { type Ending, terminate, terminateForApplication } from '../engine/session/termination.js';
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
import { type NewTransport, ServerBuilder } from './buildServer.js';
import type { LiveSession, LiveSessions } from './liveSessions.js';
import { closeServer, type ConnectableServer, type ServerFactory } from './serverFactory.js';
import type { Notifier } from './notifier.js';
import type { OpeningLimits } from './openingLimits.js';
import { isOwnSession } from './ownSessions.js';
import { type HandlerHealth, StoreReadiness } from './health.js';
import type { EndCause } from '../events/podEvents.js';
import { PodResponder } from './podResponder.js';
import { performance, setTimeout } from '../timers.js';

/** How often a draining pod checks whether its requests have finished. */
const DRAIN_POLL_MS = 20;

const UNAVAILABLE = { 'pod-full': 'The pod is full', draining: 'The pod is shutting down' } as const;

/** Finds, opens and recovers the session of each exchange, and lets its engine answer. */
export class SessionHost implements LookupHost {
  readonly #builder: ServerBuilder;
  readonly options: ResolvedOptions;
  readonly #sessions: LiveSessions;
  readonly #notifier: Notifier;
  readonly #openings: OpeningLimits;
  readonly report: ReportError;
  /** For a server that could not be built. */
  readonly #reportServer: ReportError;
  /** Recoveries under way. Concurrent requests of one session wait for the same recovery. */
  readonly #recoveries = new Map<string, Promise<LiveSession | Reply>>();
  readonly #releaseBus: () => Promise<void>;
  readonly #readiness: StoreReadiness;
  /** Settles after the adapter has written the answers it has received. */
  readonly #answersWritten: () => Promise<void>;
  readonly #responder: PodResponder;
  #exchanges = 0;
  #closing: Promise<void> | undefined;
  /** Whether new work is refused. Set some time after `close` was called. */
  #draining = false;
  /** Whether the sessions of this pod were closed. No work may begin then. */
  #left = false;

  constructor(
    factory: ServerFactory,
    newTransport: NewTransport,
    options: ResolvedOptions,
    sessions: LiveSessions,
    notifier: Notifier,
    openings: OpeningLimits,
    report: ReportError,
    reportServer: ReportError,
    answersWritten: () => Promise<void>
  ) {
    this.#answersWritten = answersWritten;
    this.#notifier = notifier;
    this.#openings = openings;
    this.#builder = new ServerBuilder(factory, newTransport, options, report);
    this.options = options;
    this.#sessions = sessions;
    this.report = report;
    this.#reportServer = reportServer;
    this.#releaseBus = options.retainBus();
    this.#readiness = new StoreReadiness(options);
    this.#responder = new PodResponder(options, sessions, this, report);
  }

  async handle(exchange: Exchange): Promise<Reply> {
    this.#exchanges++;
    this.#responder.onRequest();
    try {
      const parsed = await parseRequest(exchange, this.options, this.report);
      if (isReply(parsed)) return this.#closingConnection(parsed);
      const isRefused = this.#draining && !this.#finishesWork(exchange, parsed);
      const reply = isRefused ? this.#unavailable('draining') : await this.#route(exchange, parsed);
      const { refusal, status } = reply;
      if (refusal) this.options.events.refused(exchange.header('mcp-session-id'), refusal, status);
      return this.#closingConnection(reply);
    } finally {
      this.#exchanges--;
    }
  }

  async terminateSession(sessionId: string): Promise<void> {
    if (!isSessionId(sessionId)) return;
    const live = this.#sessions.peek(sessionId)?.engine;
    if (live) return live.terminate();
    if (!this.options.storeAccess || !(await isOwnSession(sessionId, this.options))) return;
    await terminateForApplication(this.#ending(sessionId));
  }

  /** Whether a balancer should send requests here. */
  get ready(): boolean {
    return this.#closing === undefined && this.#readiness.look();
  }

  /** Asks nothing, not even in the background. */
  counts(): Pick<HandlerHealth, 'draining' | 'liveSessions' | 'inFlight'> {
    const draining = this.#closing !== undefined;
    return { draining, liveSessions: this.#sessions.size, inFlight: this.#inFlight() };
  }

  close(delayMs: number, drainMs: number): Promise<void> {
    this.#closing ??= this.#leave(delayMs, drainMs);
    return this.#closing;
  }

  async #route(exchange: Exchange, parsed: ParsedRequest): Promise<Reply> {
    const sessionId = exchange.header('mcp-session-id') ?? '';
    const known = this.#sessions.peek(sessionId);
    const admitted = await this.#lookUp(exchange, parsed, sessionId, known);
    if (isReply(admitted)) return admitted;
    if (admitted.kind === 'opens') return this.#open(exchange, parsed, admitted);

    const live = this.#sessions.use(sessionId);
    // If the session was recovered and changed here meanwhile, the record may lack the change. So it is looked up
    // again.
    const isOutdated = live !== known && (live?.engine.stored?.ownChangeCount ?? 0) > 0;
    if (live) return live.engine.serve(exchange, parsed, isOutdated ? undefined : admitted);
    if (parsed.kind === 'delete') return this.#terminate(sessionId, exchange);
    const recovered = await this.#recover(sessionId, exchange);
    return isReply(recovered) ? recovered : recovered.engine.serve(exchange, parsed, admitted);
  }

  async #lookUp(
    exchange: Exchange,
    parsed: ParsedRequest,
    sessionId: string,
    known: LiveSession | undefined
  ): Promise<Admitted | Reply> {
    const admitted = await lookUp(this, exchange, parsed, known?.engine.stored);
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
    return (
      refuseVersion(exchange, this.options.supportedVersions, this.report) ??
      terminate(this.#ending(sessionId), waitsOf(exchange, this.options))
    );
  }

  #ending(sessionId: string): Ending {
    const ending = endingWithoutEngine(sessionId, this.options, this.report);
    const onEnded = async (cause: EndCause): Promise<void> => {
      // Another request may have recovered the session here meanwhile.
      const live = this.#sessions.peek(sessionId)?.engine;
      if (!live) this.options.events.ended(sessionId, cause, undefined);
      await Promise.all([ending.onEnded(cause), live?.onEnded(cause)]);
    };
    return { ...ending, onEnded };
  }

  async onMissing(sessionId: string): Promise<void> {
    await this.#sessions.peek(sessionId)?.engine.onEnded('missing');
  }

  announceEnded(sessionId: string): void {
    void otherPodsOf(sessionId, this.options, this.report).ended();
  }

  async #open(exchange: Exchange, parsed: ParsedRequest, admitted: Admitted): Promise<Reply> {
    const opened = await this.#openings.begin(exchange);
    if (isReply(opened)) return opened;
    if (!this.#sessions.reserve()) {
      opened();
      return this.#unavailable('pod-full');
    }
    try {
      const built = await this.#build(exchange, undefined);
      if (isReply(built)) return built;
      const { engine, server } = built;
      const reply = await engine.serve(exchange, parsed, admitted);
      const isOpen = reply.status === 200 && !this.#left;
      // Add it before the reply is sent, so that the client's next request finds it.
      if (isOpen && engine.sessionId !== undefined && !engine.closed) {
        this.#sessions.add(engine.sessionId, engine, server);
        return reply;
      }
      if (!isOpen && !engine.ended) await engine.lifecycle.discard();
      await closeServer(server, this.report);
      return this.#left ? this.#unavailable('draining') : reply;
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
    if (!this.#sessions.reserve()) return this.#unavailable('pod-full');
    try {
      const built = await this.#build(exchange, sessionId);
      if (isReply(built)) return built;
      const session = this.#sessions.add(sessionId, built.engine, built.server);
      this.#responder.recoveries++;
      // It has no requests yet, so it looks idle. Keep it until the waiting requests have begun.
      setTimeout(built.engine.retain(), 0);
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
        return this.#unavailable('draining');
      }
      this.#notifier.listen();
      return { engine: engineOf(transport), server };
    } catch (error) {
      this.#reportServer(error as Error);
      return errorReply(500, INTERNAL_ERROR, 'Internal error');
    }
  }

  /** Serves new requests for `delayMs`, then finishes the open requests, then closes. */
  async #leave(delayMs: number, drainMs: number): Promise<void> {
    if (delayMs > 0) await pause(delayMs);
    this.#draining = true;
    // Not Date.now(): a change of the system clock must not cut off requests or delay the shutdown.
    const startedAt = performance.now();
    const deadline = startedAt + drainMs;
    const sessions = this.#sessions.size;
    for (const { engine } of this.#sessions) engine.handOver();
    while (this.#inFlight() > 0 && performance.now() < deadline) await pause(DRAIN_POLL_MS);
    // The Node adapter writes answers at the end of the turn.
    await this.#answersWritten();
    this.#left = true;
    const unfinished = this.#inFlight();
    await this.#sessions.close();
    await Promise.all([this.#notifier.close(), this.#responder.close()]);
    await this.#releaseBus();
    this.options.events.drained(sessions, unfinished, startedAt);
  }

  #inFlight(): number {
    return this.#exchanges + this.#sessions.inFlight;
  }

  /** While the pod drains, its open requests still receive the messages of their clients. */
  #finishesWork(exchange: Exchange, parsed: ParsedRequest): boolean {
    const sessionId = exchange.header('mcp-session-id');
    const live = sessionId ? this.#sessions.peek(sessionId) : undefined;
    return live !== undefined && parsed.kind === 'post' && !parsed.messages.some(isRequest);
  }

  #unavailable(refusal: keyof typeof UNAVAILABLE): Reply {
    const message = UNAVAILABLE[refusal];
    this.report(new PodUnavailableError(message));
    return serviceUnavailable(message, refusal);
  }

  /** Makes the client close its connection, so that its next request goes to another pod. */
  #closingConnection(reply: Reply): Reply {
    return this.#closing ? { ...reply, headers: { ...reply.headers, connection: 'close' } } : reply;
  }
}
