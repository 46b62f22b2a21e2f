import type {
  JSONRPCMessage,
  JSONRPCRequest,
  MessageExtraInfo,
  RequestId,
  Transport,
  TransportSendOptions
} from '../sdkTypes.js';
import { unref, type WaitBudget } from '../deadline.js';
import { PodUnavailableError } from '../errors.js';
import type { Admitted } from './session/lookup.js';
import { type Exchange, isReply, type Reply } from './http/exchange.js';
import { SessionLifecycle } from './session/lifecycle.js';
import { answerGet } from './get.js';
import { type ParsedRequest, parseRequest } from './http/parseRequest.js';
import { cancelledBy, isInitialized, isRequest } from './http/jsonRpc.js';
import type { ResolvedOptions } from './options.js';
import type { EngineParts } from './parts.js';
import { send } from './streams/outbound.js';
import { SessionStreams } from './streams/sessionStreams.js';
import { answerPost } from './post.js';
import { serviceUnavailable, sessionNotFound } from './http/replies.js';
import { type ReportError, reportTo } from '../report.js';
import { Resumption } from './streams/resumption.js';
import { Routing } from './pods/routing.js';
import { EngineState } from './session/sessionState.js';
import { StoredSession } from './session/storedSession.js';
import { terminateForApplication } from './session/termination.js';
import type { OpenRequest } from './streams/openRequests.js';
import { LocalSubscriptions } from './session/localSubscriptions.js';
import { clearInterval, setInterval } from '../timers.js';
import type { EndCause } from '../events/podEvents.js';

/**
 * The transport of one session, independent of the runtime. It turns exchanges into messages for the server, and the
 * server's messages into replies. The public transports adapt a runtime's requests to {@link Exchange}.
 */
export class Engine implements Transport, EngineParts {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  /** Whether `onerror` was set on the public transport. */
  hasOnerror = false;
  /** Receives every error as well, while only the SDK's `connect` has set `onerror`. */
  warn: ReportError | undefined;
  onmessage?: (message: JSONRPCMessage, extra?: MessageExtraInfo) => void;

  readonly options: ResolvedOptions;
  /** The application's state, for the handlers of this session's requests. */
  readonly state: EngineState = new EngineState(this);
  readonly lifecycle: SessionLifecycle;
  readonly streams: SessionStreams;
  /** In external mode: this pod's copy of the session. */
  readonly stored: StoredSession | undefined;
  /** In external mode: the session's servers on other pods. */
  readonly routing: Routing | undefined;
  /** Only with an event store. */
  readonly resumption: Resumption | undefined;
  /** Only in memory mode. */
  readonly #subscriptions: LocalSubscriptions | undefined;
  supportedVersions: readonly string[];
  scopeChallenge: EngineParts['scopeChallenge'];
  #started = false;
  #used = false;
  #closed = false;
  #ended = false;
  #exchanges = 0;
  #refresh: ReturnType<typeof setInterval> | undefined;

  constructor(options: ResolvedOptions) {
    this.options = options;
    this.supportedVersions = options.supportedVersions;
    this.streams = new SessionStreams(this);
    if (options.storeAccess) {
      this.routing = this.streams.otherPods = new Routing(this, this.streams);
      this.stored = new StoredSession(options.storeAccess, this, this.routing);
    } else {
      this.#subscriptions = new LocalSubscriptions(options.maxSubscriptionBytes);
    }
    const { log } = this.streams;
    this.resumption = log && new Resumption(this.streams, log, this.routing, options, this.report);
    this.lifecycle = new SessionLifecycle(this, this.stored, this.routing);
  }

  get sessionId(): string | undefined {
    return this.streams.sessionId;
  }

  set sessionId(sessionId: string | undefined) {
    this.streams.sessionId = sessionId;
  }

  /**
   * The session id, for the server. The SDK's server reads it in the same step in which it queues a message of a task.
   * So the queue knows the sender of the message, also if several pods run in one process.
   */
  get servedSessionId(): string | undefined {
    this.routing?.register();
    return this.sessionId;
  }

  /** Whether the client's GET stream is attached to this pod. */
  get holdsStandaloneStream(): boolean {
    return this.streams.holdsStandaloneStream;
  }

  /** Whether the client has subscribed to a resource, as far as this pod knows. */
  isSubscribedTo(uri: string): boolean {
    return (this.stored ?? this.#subscriptions)?.isSubscribedTo(uri) ?? false;
  }

  onresult(request: JSONRPCRequest, waits?: WaitBudget): OpenRequest['onresult'] {
    return this.stored ? this.stored.onresult(request, waits) : this.#subscriptions?.onresult(request);
  }

  problemOf({ method, params }: JSONRPCRequest): string | undefined {
    const uri = method === 'resources/subscribe' ? params?.uri : undefined;
    return typeof uri === 'string' ? this.stored?.subscriptionProblem(uri) : undefined;
  }

  retain(): () => void {
    this.#exchanges++;
    return () => this.#exchanges--;
  }

  get hasServer(): boolean {
    return this.onmessage !== undefined;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether this pod knows that the session has ended on every pod. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether a client is attached or served, or either side waits for an answer. Else the session may be forgotten. */
  get busy(): boolean {
    return this.streams.busy || this.inFlight > 0;
  }

  /** The number of exchanges without a reply and of requests, of either side, without an answer. */
  get inFlight(): number {
    return this.#exchanges + this.streams.awaitedRequests + (this.routing?.serverRequests.awaited ?? 0);
  }

  async start(): Promise<void> {
    if (this.#started) throw new Error('Transport already started');
    this.#started = true;
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if (this.stored?.consumeReplayAnswer(message)) return;
    if (!this.routing) return send(this.streams, message, options?.relatedRequestId);
    const outgoing = this.routing.serverRequests.outgoing(message, this.sessionId);
    try {
      await send(this.streams, outgoing, options?.relatedRequestId);
    } catch (error) {
      if (isRequest(message)) this.routing.serverRequests.forget(message.id);
      throw error;
    }
  }

  /** Forgets the session on this pod. The store keeps it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#refresh);
    this.stored?.close();
    this.streams.close();
    void this.routing?.leave();
    const { events, isMadeByApplication } = this.options;
    if (isMadeByApplication && !this.#ended && this.sessionId !== undefined) events.forgotten(this.sessionId, 'closed');
    this.onclose?.();
  }

  onEnded(cause: EndCause): Promise<void> {
    if (!this.#ended) {
      this.streams.deleteLogs();
      if (this.sessionId !== undefined) {
        this.options.events.ended(this.sessionId, cause, this.stored?.record?.createdAt);
      }
    }
    this.#ended = true;
    return this.close();
  }

  /** Ends the session for every pod. */
  terminate(): Promise<void> {
    return terminateForApplication(this.lifecycle);
  }

  async receive(message: JSONRPCMessage, extra: MessageExtraInfo): Promise<void> {
    await this.stored?.recovered();
    // Recovery replays the end of the handshake if the record has it: the server must not get it twice.
    if (isInitialized(message) && !this.stored?.acceptInitialized()) return;
    if (!this.#closed) this.dispatch(message, extra);
  }

  dispatch(message: JSONRPCMessage, extra: MessageExtraInfo): void {
    this.onmessage?.(message, extra);
    const cancelled = cancelledBy(message);
    if (cancelled !== undefined) this.streams.cancelled(cancelled);
  }

  async refresh(): Promise<void> {
    if (!this.#closed) await this.stored?.refresh();
  }

  /** Closes the streams that clients can resume on another pod, and the standalone stream. */
  handOver(): void {
    this.streams.closeResumableStreams();
    this.streams.closeStandaloneStream();
  }

  closeSSEStream(requestId: RequestId): void {
    this.streams.closeStreamOf(requestId);
  }

  closeStandaloneSSEStream(): void {
    if (this.streams.holdsStandaloneStream) this.streams.closeStandaloneStream();
    else void this.routing?.closeStandaloneElsewhere();
  }

  /** Answers one exchange. */
  async handle(exchange: Exchange): Promise<Reply> {
    if (this.#closed) return this.#withRefusalEvent(exchange, this.#unlessOnlyClosedHere(sessionNotFound()));
    if (!this.options.sessionIdGenerator && this.#used) {
      throw new Error('Stateless transport cannot be reused across requests. Create a new transport per request.');
    }
    this.#used = true;
    const parsed = await parseRequest(exchange, this.options, this.report);
    return isReply(parsed) ? parsed : this.#withRefusalEvent(exchange, await this.serve(exchange, parsed));
  }

  /**
   * Answers a parsed exchange.
   * @param lookedUp - the result, if the caller has looked up the session already
   */
  async serve(exchange: Exchange, parsed: ParsedRequest, lookedUp?: Admitted): Promise<Reply> {
    this.#exchanges++;
    try {
      return this.#unlessOnlyClosedHere(await this.#answer(exchange, parsed, lookedUp));
    } finally {
      this.#exchanges--;
    }
  }

  async #answer(exchange: Exchange, parsed: ParsedRequest, lookedUp: Admitted | undefined): Promise<Reply> {
    // close() may have run while the body was read.
    if (parsed.kind === 'post' && this.#closed) return sessionNotFound();
    const found = lookedUp ?? this.lifecycle.lookUp(exchange, parsed);
    // In memory mode the result is available at once.
    const admitted = found instanceof Promise ? await found : found;
    if (isReply(admitted)) return admitted;
    switch (parsed.kind) {
      case 'post':
        return answerPost(this, exchange, parsed, admitted);
      case 'get':
        return (await this.lifecycle.admit(exchange, admitted)) ?? answerGet(this, exchange, parsed.arrivedAt);
      case 'delete':
        return (await this.lifecycle.admit(exchange, admitted, false)) ?? this.lifecycle.terminate(exchange);
    }
  }

  #withRefusalEvent(exchange: Exchange, reply: Reply): Reply {
    const { refusal, status } = reply;
    if (refusal) this.options.events.refused(exchange.header('mcp-session-id'), refusal, status);
    return reply;
  }

  /** The session is closed here but alive in the store: the client must not conclude that it has ended. */
  #unlessOnlyClosedHere(reply: Reply): Reply {
    const livesElsewhere = this.options.storeAccess && this.#closed && !this.#ended;
    if (reply.status !== 404 || !livesElsewhere) return reply;
    const message = 'The session is closed on this pod';
    this.report(new PodUnavailableError(message));
    return serviceUnavailable(message, 'left-pod');
  }

  /** Passes an error to `onerror`. Every failure is reported, and this function does not throw. */
  readonly report = (error: Error): void => {
    reportTo(this.onerror, error);
    reportTo(this.warn, error);
  };

  /** Keeps the session from expiring while the client holds a stream but sends nothing. */
  attached(): void {
    const { storeAccess } = this.options;
    const { stored } = this;
    if (!storeAccess || !stored || this.#refresh || this.#closed) return;
    this.#refresh = setInterval(() => {
      if (this.busy) return void stored.keepAlive().catch(this.report);
      clearInterval(this.#refresh);
      this.#refresh = undefined;
    }, storeAccess.refreshMs);
    unref(this.#refresh);
  }
}
