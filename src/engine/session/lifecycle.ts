import type { InitializeRequest, JSONRPCMessage } from '../../sdkTypes.js';
import type { SessionData } from '../../ports/sessionStore.js';
import { type Admitted, lookUp, type LookupHost, principalOf } from './lookup.js';
import type { ParsedRequest } from '../http/parseRequest.js';
import { type Exchange, type Reply, waitsOf } from '../http/exchange.js';
import type { WaitBudget } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import type { OtherPods, SessionContext } from '../context.js';
import type { ResolvedOptions } from '../options.js';
import {
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
import { refuseVersion } from '../http/protocolVersion.js';
import { exceedsBytes } from '../http/textSize.js';
import { fitsHeader, isSessionId } from '../../ports/sessionId.js';
import type { EndCause } from '../../events/podEvents.js';
import { performance } from '../../timers.js';
import type { StoredSession } from './storedSession.js';
import { type Ending, terminate } from './termination.js';

/**
 * Opens the session for the first exchange, admits or refuses later ones, and ends the session. In external mode the
 * store decides for every exchange.
 */
export class SessionLifecycle implements LookupHost, Ending {
  readonly #context: SessionContext;
  /** Defined in external mode: the session in the store. */
  readonly #stored: StoredSession | undefined;
  /** Defined in external mode. */
  readonly #otherPods: OtherPods | undefined;
  #state: 'new' | 'opening' | 'open' = 'new';
  /** Set in external mode while a client ends the session. */
  removal: Promise<boolean> | undefined;

  constructor(context: SessionContext, stored: StoredSession | undefined, otherPods: OtherPods | undefined) {
    this.#context = context;
    this.#stored = stored;
    this.#otherPods = otherPods;
  }

  /** Opens the session in this order: store, application, client. */
  async open(exchange: Exchange, request: InitializeRequest, batchSize: number): Promise<Reply | undefined> {
    const context = this.#context;
    const { options } = context;
    const startedAt = performance.now();
    if (this.#state === 'opening' || (this.#state === 'open' && context.sessionId !== undefined)) {
      return refuse(this.report, 400, INVALID_REQUEST, 'Invalid Request: Server already initialized');
    }
    if (batchSize > 1) {
      return refuse(this.report, 400, INVALID_REQUEST, 'Invalid Request: Only one initialization request is allowed');
    }
    const sessionId = options.sessionIdGenerator?.();
    const waits = waitsOf(exchange, options);
    const wanted = this.#stored ? isSessionId(sessionId) : sessionId === undefined || fitsHeader(sessionId);
    if (!wanted) {
      context.report(new Error('sessionIdGenerator must return 1 to 256 visible ASCII characters'));
      return errorReply(500, INTERNAL_ERROR, 'Internal error');
    }
    if (this.#stored && exceedsBytes(JSON.stringify(request.params), options.maxHandshakeBytes)) {
      const problem = `The handshake must not exceed ${options.maxHandshakeBytes} bytes`;
      context.report(new Error(problem));
      return payloadTooLarge(problem, 'handshake-too-large');
    }
    if (this.#stored && sessionId !== undefined) {
      this.#state = 'opening';
      try {
        await this.#stored.create(sessionId, request.params, principalOf(exchange, options), waits);
      } catch (error) {
        this.#state = 'new';
        return storeFailure(error, context.report);
      }
    }
    context.sessionId = sessionId;
    this.#state = 'open';
    try {
      // close() may have run during the store's call.
      if (sessionId && !context.closed) await this.#otherPods?.join(sessionId, waits);
      if (sessionId && !context.closed) await options.onsessioninitialized?.(sessionId);
    } catch (error) {
      if (this.#stored) await this.discard();
      throw error;
    }
    if (!this.#stored || !context.closed) {
      if (sessionId !== undefined) options.events.created(sessionId, startedAt);
      return undefined;
    }
    await this.discard();
    return sessionNotFound();
  }

  /** Ends a session that was opened, but whose id the client did not receive. No client can use it. */
  async discard(): Promise<void> {
    const { options, report, sessionId } = this.#context;
    if (options.storeAccess && sessionId !== undefined) await options.storeAccess.remove(sessionId).catch(report);
    await this.#context.onEnded('discarded');
  }

  get options(): ResolvedOptions {
    return this.#context.options;
  }

  get report(): ReportError {
    return this.#context.report;
  }

  /** Looks up the session of an exchange, unless this transport serves another session. */
  lookUp(exchange: Exchange, parsed: ParsedRequest): Admitted | Reply | Promise<Admitted | Reply> {
    const sessionId = exchange.header('mcp-session-id');
    if (this.#stored && sessionId) {
      const opens = parsed.kind === 'post' && parsed.initialize !== undefined;
      if (opens && this.#state !== 'new') return { kind: 'opens' };
      if (!opens && this.#servesAnother(sessionId)) return refuseNotFound(this.report);
    }
    return lookUp(this, exchange, parsed, this.#stored);
  }

  onMissing(sessionId: string): Promise<void> | undefined {
    return this.#context.sessionId === sessionId ? this.#context.onEnded('missing') : undefined;
  }

  /**
   * Admits an exchange of the session. Recovers the server on this pod if it does not know the session yet.
   * @param recover - whether the exchange needs the server to know the session
   * @returns the reply if the exchange is for another session, or has an unsupported protocol version
   */
  async admit(exchange: Exchange, admitted: Admitted, recover = true): Promise<Reply | undefined> {
    if (this.#context.options.sessionIdGenerator) {
      const refusal =
        this.#stored && admitted.kind === 'stored'
          ? await this.#admitStored(exchange, admitted.record, this.#stored, recover)
          : this.#refuseLocally(exchange.header('mcp-session-id'));
      if (refusal) return refusal;
    }
    return refuseVersion(exchange, this.#context.supportedVersions, this.report);
  }

  /** Stores that the client has completed the handshake, before the server receives it. */
  recordHandshake(exchange: Exchange, messages: JSONRPCMessage[]): Promise<Reply | undefined> | undefined {
    if (!this.#stored || !messages.some(isInitialized)) return undefined;
    return this.#recordInitialized(this.#stored, waitsOf(exchange, this.#context.options));
  }

  async #recordInitialized(stored: StoredSession, waits: WaitBudget): Promise<Reply | undefined> {
    try {
      await stored.recordInitialized(waits);
      return undefined;
    } catch (error) {
      return storeFailure(error, this.#context.report);
    }
  }

  /** Ends the session for every pod, as its client asked. */
  async terminate(exchange: Exchange): Promise<Reply> {
    // The other pods are told after the removal: meanwhile this one must not serve the session.
    this.#stored?.freshness?.end();
    try {
      return await terminate(this, waitsOf(exchange, this.options));
    } finally {
      this.#stored?.freshness?.restart();
    }
  }

  get sessionId(): string | undefined {
    return this.#context.sessionId;
  }

  get otherPods(): OtherPods | undefined {
    return this.#otherPods;
  }

  announceEnded(sessionId: string): void {
    void this.#otherPods?.ended(undefined, sessionId);
  }

  onEnded(cause: EndCause): Promise<void> {
    return this.#context.onEnded(cause);
  }

  #refuseLocally(sessionId: string | null): Reply | undefined {
    if (this.#state !== 'open') return refuse(this.report, 400, TRANSPORT_ERROR, 'Bad Request: Server not initialized');
    if (!sessionId) return refuse(this.report, 400, TRANSPORT_ERROR, 'Bad Request: Mcp-Session-Id header is required');
    return sessionId === this.#context.sessionId ? undefined : refuseNotFound(this.report);
  }

  async #admitStored(
    exchange: Exchange,
    record: SessionData,
    stored: StoredSession,
    recover: boolean
  ): Promise<Reply | undefined> {
    const context = this.#context;
    const { sessionId } = record;
    // During the store's call, another exchange may have closed this transport or bound it to another session.
    if (this.#servesAnother(sessionId)) return refuseNotFound(context.report);
    context.sessionId ??= sessionId;
    this.#state = 'open';
    if (recover && !stored.knows(record)) {
      const extra = context.options.dialect.extraOf(exchange, context.state);
      await stored.update(record, extra, waitsOf(exchange, context.options));
    }
    return undefined;
  }

  #servesAnother(sessionId: string): boolean {
    const { closed, sessionId: served } = this.#context;
    // While the session is being opened, no client can know its id.
    return closed || this.#state === 'opening' || (served !== undefined && served !== sessionId);
  }
}
