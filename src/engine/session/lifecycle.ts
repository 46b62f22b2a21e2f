import { type InitializeRequest, type JSONRPCMessage, SUPPORTED_PROTOCOL_VERSIONS } from 'mcp-sdk-upstream/types.js';
import type { SessionData } from '../../ports/sessionStore.js';
import { type Admitted, lookUp, type LookupHost, principalOf } from './lookup.js';
import type { Intake } from '../http/parseRequest.js';
import { type Exchange, type Reply, waitsOf } from '../http/exchange.js';
import type { WaitBudget } from '../../deadline.js';
import { messageExtra } from '../http/messageExtra.js';
import type { ReportError } from '../../report.js';
import type { ResolvedOptions } from '../options.js';
import {
  emptyReply,
  errorReply,
  INTERNAL_ERROR,
  INVALID_REQUEST,
  payloadTooLarge,
  refuse,
  refuseNotFound,
  sessionNotFound,
  storeFailure,
  TRANSPORT_ERROR
} from '../http/replies.js';
import { isInitialized } from '../http/jsonRpc.js';
import { exceedsBytes } from '../http/textSize.js';
import { fitsHeader, isSessionId } from '../../ports/sessionId.js';
import type { EngineState } from './sessionState.js';
import type { SessionPods, StoredSession } from './storedSession.js';

/** What the gate needs of the engine that it guards. */
export interface Guarded {
  readonly options: ResolvedOptions;
  readonly state: EngineState;
  readonly closed: boolean;
  readonly report: ReportError;
  sessionId: string | undefined;
  /** Closes because the session is over. */
  end(): Promise<void>;
}

/**
 * Opens the session for the first exchange, admits later ones or refuses them, and ends the session. In external mode the
 * store decides, at every exchange.
 */
export class SessionGate implements LookupHost {
  readonly #engine: Guarded;
  /** In external mode: the session as the store has it. */
  readonly #stored: StoredSession | undefined;
  /** In external mode: the other pods that serve the session. */
  readonly #pods: SessionPods | undefined;
  #state: 'new' | 'opening' | 'open' = 'new';
  /** In external mode: from when a client ends the session, unless that fails. */
  #removal: Promise<boolean> | undefined;

  constructor(engine: Guarded, stored: StoredSession | undefined, pods: SessionPods | undefined) {
    this.#engine = engine;
    this.#stored = stored;
    this.#pods = pods;
  }

  /** Opens the session: in the store first, then for the application, and only then for the client. */
  async open(exchange: Exchange, request: InitializeRequest, batchSize: number): Promise<Reply | undefined> {
    const engine = this.#engine;
    const { options } = engine;
    if (this.#state === 'opening' || (this.#state === 'open' && engine.sessionId !== undefined)) {
      return refuse(this.report, 400, INVALID_REQUEST, 'Invalid Request: Server already initialized');
    }
    if (batchSize > 1) {
      return refuse(this.report, 400, INVALID_REQUEST, 'Invalid Request: Only one initialization request is allowed');
    }
    const sessionId = options.sessionIdGenerator?.();
    const waits = waitsOf(exchange, options);
    const wanted = this.#stored ? isSessionId(sessionId) : sessionId === undefined || fitsHeader(sessionId);
    if (!wanted) {
      engine.report(new Error('sessionIdGenerator must return 1 to 256 visible ASCII characters'));
      return errorReply(500, INTERNAL_ERROR, 'Internal error');
    }
    if (this.#stored && exceedsBytes(JSON.stringify(request.params), options.maxHandshakeBytes)) {
      const problem = `The handshake must not exceed ${options.maxHandshakeBytes} bytes`;
      engine.report(new Error(problem));
      return payloadTooLarge(problem);
    }
    if (this.#stored && sessionId !== undefined) {
      this.#state = 'opening';
      try {
        await this.#stored.create(sessionId, request.params, principalOf(exchange, options), waits);
      } catch (error) {
        this.#state = 'new';
        return storeFailure(error, engine.report);
      }
    }
    engine.sessionId = sessionId;
    this.#state = 'open';
    try {
      // close() may have run while the store was asked.
      if (sessionId && !engine.closed) await this.#pods?.join(sessionId, waits);
      if (sessionId && !engine.closed) await options.onsessioninitialized?.(sessionId);
    } catch (error) {
      if (this.#stored) await this.abandon();
      throw error;
    }
    if (!this.#stored || !engine.closed) return undefined;
    await this.abandon();
    return sessionNotFound();
  }

  /** Ends the session that has just been opened: its client does not learn of it, so nobody can come back to it. */
  async abandon(): Promise<void> {
    const { options, report, sessionId } = this.#engine;
    if (options.directory && sessionId !== undefined) await options.directory.remove(sessionId).catch(report);
    await this.#engine.end();
  }

  get options(): ResolvedOptions {
    return this.#engine.options;
  }

  get report(): ReportError {
    return this.#engine.report;
  }

  /** Looks up the session of an exchange, unless this transport serves another session. */
  lookUp(exchange: Exchange, intake: Intake): Admitted | Reply | Promise<Admitted | Reply> {
    const sessionId = exchange.header('mcp-session-id');
    if (this.#stored && sessionId) {
      const opens = intake.kind === 'post' && intake.initialize !== undefined;
      if (opens && this.#state !== 'new') return { kind: 'opens' };
      if (!opens && this.#servesAnother(sessionId)) return refuseNotFound(this.report);
    }
    return lookUp(this, exchange, intake, this.#stored);
  }

  endedElsewhere(sessionId: string): Promise<void> | undefined {
    return this.#engine.sessionId === sessionId ? this.#engine.end() : undefined;
  }

  tellEnded(sessionId: string): void {
    void this.#pods?.ended(sessionId);
  }

  /**
   * Lets an exchange of the session pass; the server on this pod is recovered if it does not know the session yet.
   * @param recover - whether the server must know the session for what follows
   * @returns the reply if the exchange is not this session's, or speaks an unsupported protocol version
   */
  async admit(exchange: Exchange, admitted: Admitted, recover = true): Promise<Reply | undefined> {
    if (this.#engine.options.sessionIdGenerator) {
      const refusal =
        this.#stored && admitted.kind === 'stored'
          ? await this.#admitStored(exchange, admitted.record, this.#stored, recover)
          : this.#refuseLocally(exchange.header('mcp-session-id'));
      if (refusal) return refusal;
    }
    const version = exchange.header('mcp-protocol-version');
    if (version === null || SUPPORTED_PROTOCOL_VERSIONS.includes(version)) return undefined;
    return refuse(
      this.report,
      400,
      TRANSPORT_ERROR,
      `Bad Request: Unsupported protocol version: ${version} (supported versions: ${SUPPORTED_PROTOCOL_VERSIONS.join(', ')})`
    );
  }

  /** The store learns that the client has completed the handshake before the server does. */
  recordHandshake(exchange: Exchange, messages: JSONRPCMessage[]): Promise<Reply | undefined> | undefined {
    if (!this.#stored || !messages.some(isInitialized)) return undefined;
    return this.#recordInitialized(this.#stored, waitsOf(exchange, this.#engine.options));
  }

  async #recordInitialized(stored: StoredSession, waits: WaitBudget): Promise<Reply | undefined> {
    try {
      await stored.recordInitialized(waits);
      return undefined;
    } catch (error) {
      return storeFailure(error, this.#engine.report);
    }
  }

  /** Ends the session: gone from the store before the client is told so. */
  async end(exchange: Exchange): Promise<Reply> {
    const { options, report, sessionId } = this.#engine;
    const waits = waitsOf(exchange, options);
    if (options.directory && sessionId !== undefined) {
      let isFirst = !this.#removal;
      try {
        const removed = await (this.#removal ??= options.directory.remove(sessionId, waits));
        isFirst &&= removed;
      } catch (error) {
        this.#removal = undefined;
        // It may have been removed all the same: then the other pods find that out.
        void this.#pods?.changed();
        return storeFailure(error, report);
      }
      if (!isFirst) {
        // Another DELETE, here or on another pod, removed it while this one asked the store.
        await this.#engine.end();
        return refuseNotFound(this.report);
      }
      await this.#pods?.ended(sessionId, waits);
    }
    try {
      await options.onsessionclosed?.(sessionId as string);
      return emptyReply(200);
    } finally {
      await this.#engine.end();
    }
  }

  #refuseLocally(sessionId: string | null): Reply | undefined {
    if (this.#state !== 'open') return refuse(this.report, 400, TRANSPORT_ERROR, 'Bad Request: Server not initialized');
    if (!sessionId) return refuse(this.report, 400, TRANSPORT_ERROR, 'Bad Request: Mcp-Session-Id header is required');
    return sessionId === this.#engine.sessionId ? undefined : refuseNotFound(this.report);
  }

  async #admitStored(
    exchange: Exchange,
    record: SessionData,
    stored: StoredSession,
    recover: boolean
  ): Promise<Reply | undefined> {
    const engine = this.#engine;
    const { sessionId } = record;
    // While the store was asked, another exchange may have closed this transport or bound it to another session.
    if (this.#servesAnother(sessionId)) return refuseNotFound(engine.report);
    engine.sessionId ??= sessionId;
    this.#state = 'open';
    if (recover && !stored.knows(record)) {
      await stored.adopt(record, messageExtra(exchange, engine.state), waitsOf(exchange, engine.options));
    }
    return undefined;
  }

  #servesAnother(sessionId: string): boolean {
    const { closed, sessionId: served } = this.#engine;
    // The session that is being opened has no id that a client could know.
    return closed || this.#state === 'opening' || (served !== undefined && served !== sessionId);
  }
}
