import type { Transport, TransportSendOptions } from 'mcp-sdk-upstream/shared/transport.js';
import {
  DEFAULT_NEGOTIATED_PROTOCOL_VERSION,
  type InitializeRequest,
  type JSONRPCMessage,
  type MessageExtraInfo,
  type RequestId
} from 'mcp-sdk-upstream/types.js';
import type { SessionData } from '../sessionStore.js';
import { isReply } from './admission.js';
import type { EventSink, Exchange, Reply } from './exchange.js';
import { extraOf, SessionGate } from './gate.js';
import { type Intake, takeIn } from './intake.js';
import type { ResolvedOptions } from './options.js';
import { isRequest, Outbound, type RequestStream } from './outbound.js';
import {
  emptyReply,
  errorReply,
  eventStreamReply,
  PARSE_ERROR,
  serviceUnavailable,
  sessionNotFound,
  TRANSPORT_ERROR
} from './replies.js';
import { Resumption } from './resume.js';
import { Routing } from './routing.js';
import { understandsPriming } from './sse.js';
import { EngineState } from './state.js';
import { isInitialized, StoredSession } from './storedSession.js';

/**
 * One session's transport, free of any runtime: it turns exchanges into messages for the server, and the
 * server's messages into replies. The public transports adapt a runtime's requests to {@link Exchange}.
 */
export class Engine implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage, extra?: MessageExtraInfo) => void;

  readonly options: ResolvedOptions;
  /** The application's, for the handlers of this session's requests. */
  readonly state = new EngineState(this);
  readonly #outbound: Outbound;
  /** In external mode: the session as the store has it. */
  readonly #stored: StoredSession | undefined;
  /** In external mode: the session's servers on other pods. */
  readonly #routing: Routing | undefined;
  /** With an event store. */
  readonly #resumption: Resumption | undefined;
  readonly #gate: SessionGate;
  #started = false;
  #used = false;
  #closed = false;
  #exchanges = 0;
  #refresh: ReturnType<typeof setInterval> | undefined;

  constructor(options: ResolvedOptions) {
    this.options = options;
    this.#outbound = new Outbound(options, this.report, () => this.#keepStored());
    if (options.directory) {
      const routing = new Routing(this, this.#outbound, options);
      this.#routing = this.#outbound.elsewhere = routing;
      this.#stored = new StoredSession(
        options.directory,
        {
          emit: (message, extra) => this.onmessage?.(message, extra),
          join: sessionId => routing.join(sessionId),
          onrecovered: sessionId => options.onsessionrecovered?.(sessionId),
          onchanged: () => routing.changed()
        },
        this.report
      );
    }
    const { log } = this.#outbound;
    this.#resumption = log && new Resumption(this.#outbound, log, this.#routing, options, this.report);
    this.#gate = new SessionGate(this, this.#stored, this.#routing);
  }

  get sessionId(): string | undefined {
    return this.#outbound.sessionId;
  }

  set sessionId(sessionId: string | undefined) {
    this.#outbound.sessionId = sessionId;
  }

  /**
   * The session id, for the server. The SDK's asks for it in the very step in which it queues a message of a task, so
   * the queue knows whose message it is, also where several pods live in one process.
   */
  get servedSessionId(): string | undefined {
    this.#routing?.speak();
    return this.sessionId;
  }

  /** In external mode: the session's record as it was last read. */
  get record(): SessionData | undefined {
    return this.#stored?.record;
  }

  /** Whether the client's GET stream is attached to this pod. */
  get holdsStandaloneStream(): boolean {
    return this.#outbound.holdsStandaloneStream;
  }

  /** Counts as an exchange until the returned function is called. */
  retain(): () => void {
    this.#exchanges++;
    return () => this.#exchanges--;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a client is attached, waits for an answer, or is being served: a session that is not may be forgotten. */
  get busy(): boolean {
    return this.#exchanges > 0 || this.#outbound.busy;
  }

  /** Requests of the client that the server has not answered yet, and exchanges that have not been replied to. */
  get inFlight(): number {
    return this.#exchanges + this.#outbound.openRequests;
  }

  async start(): Promise<void> {
    if (this.#started) throw new Error('Transport already started');
    this.#started = true;
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    if (this.#stored?.takesAnswer(message)) return;
    const outgoing = this.#routing ? this.#routing.outgoing(message) : message;
    return this.#outbound.send(outgoing, options?.relatedRequestId);
  }

  /** Forgets the session on this pod. In the store it lives on. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#refresh);
    this.#outbound.close();
    void this.#routing?.leave();
    this.onclose?.();
  }

  /** Ends the session for every pod. */
  async terminate(): Promise<void> {
    if (this.sessionId !== undefined) {
      await this.options.directory?.remove(this.sessionId);
      await this.#routing?.ended();
    }
    await this.close();
  }

  /** Hands the server a message of its client that came to another pod. */
  async receive(message: JSONRPCMessage, extra: MessageExtraInfo): Promise<void> {
    await this.#stored?.recovered();
    // Recovery replays the end of the handshake where the record has it: the server must not hear it twice.
    if (isInitialized(message) && !this.#stored?.takesInitialized()) return;
    if (!this.#closed) this.onmessage?.(message, extra);
  }

  /** Reads the record anew, because another pod has changed it. */
  async refresh(): Promise<void> {
    const { directory } = this.options;
    if (!directory || !this.#stored?.record || this.#closed) return;
    const record = await directory.touch(this.#stored.record.sessionId, this.#stored.record);
    if (record) await this.#stored.adopt(record, {});
    else await this.close();
  }

  /** Closes the streams that clients can resume on another pod, and the standalone one. */
  handOver(): void {
    this.#outbound.closeResumableStreams();
    this.#outbound.closeStandaloneStream();
  }

  closeSSEStream(requestId: RequestId): void {
    this.#outbound.closeStreamOf(requestId);
  }

  closeStandaloneSSEStream(): void {
    if (this.#outbound.holdsStandaloneStream) this.#outbound.closeStandaloneStream();
    else void this.#routing?.closeStandaloneElsewhere();
  }

  /** Answers one exchange. */
  async handle(exchange: Exchange): Promise<Reply> {
    if (this.#closed) return sessionNotFound();
    if (!this.options.sessionIdGenerator && this.#used) {
      throw new Error('Stateless transport cannot be reused across requests. Create a new transport per request.');
    }
    this.#used = true;
    const intake = await takeIn(exchange, this.options, this.report);
    return isReply(intake) ? intake : this.serve(exchange, intake);
  }

  /**
   * Answers an exchange that has been taken in.
   * @param found - the session's record, where the caller has asked the store already
   */
  async serve(exchange: Exchange, intake: Intake, found?: SessionData): Promise<Reply> {
    this.#exchanges++;
    try {
      switch (intake.kind) {
        case 'post':
          return await this.#post(exchange, intake, found);
        case 'get':
          return (await this.#gate.refuse(exchange, found)) ?? (await this.#get(exchange));
        case 'delete':
          return (await this.#gate.refuse(exchange, found, false)) ?? (await this.#gate.end());
      }
    } finally {
      this.#exchanges--;
    }
  }

  /** Reports to whoever listens; nothing that fails is silent, and nothing that is reported is thrown. */
  readonly report = (error: Error): void => {
    this.onerror?.(error);
  };

  async #post(exchange: Exchange, intake: Intake & { kind: 'post' }, found?: SessionData): Promise<Reply> {
    try {
      const { messages, initialize } = intake;
      // close() may have run while the body was read.
      if (this.#closed) return sessionNotFound();
      const refusal = initialize
        ? await this.#gate.open(exchange, initialize, messages.length)
        : ((await this.#gate.refuse(exchange, found)) ?? (await this.#gate.recordHandshake(messages)));
      if (refusal) return refusal;
      const inbound = this.#routing && !messages.every(isRequest) ? await this.#routed(messages) : messages;
      if (!Array.isArray(inbound)) return inbound;
      // close() may have run while the store, the bus or the application's callback was awaited.
      if (this.#closed) return sessionNotFound();

      if (!messages.some(isRequest)) {
        const extra = extraOf(exchange, this.state);
        for (const message of inbound) this.onmessage?.(message, extra);
        return emptyReply(202);
      }
      // Not awaited here: a server that throws is no parse error.
      if (this.options.enableJsonResponse) return this.#answerInJson(exchange, inbound);

      const sink = exchange.openEventStream();
      const dispatched = await this.#dispatch(exchange, inbound, sink, initialize);
      return dispatched ? eventStreamReply(sink, this.sessionId) : sessionNotFound();
    } catch (error) {
      this.report(error as Error);
      return errorReply(400, PARSE_ERROR, 'Parse error', { data: String(error) });
    }
  }

  /** What of the client's messages is for the server here, once the rest has gone to the pods that it is for. */
  async #routed(messages: JSONRPCMessage[]): Promise<JSONRPCMessage[] | Reply> {
    const inbound: JSONRPCMessage[] = [];
    for (const message of messages) {
      try {
        const own = isRequest(message) ? message : await this.#routing?.inbound(message);
        if (own) inbound.push(own);
      } catch (error) {
        this.report(error as Error);
        return serviceUnavailable('The message could not be routed');
      }
    }
    return inbound;
  }

  #answerInJson(exchange: Exchange, messages: JSONRPCMessage[]): Promise<Reply> {
    return new Promise<Reply>(resolve => {
      const stream = this.#outbound.openRequestStream(messages, resolve);
      this.#emit(messages, stream, extraOf(exchange, this.state));
    });
  }

  /** @returns false where close() has run before the server was told anything */
  async #dispatch(
    exchange: Exchange,
    messages: JSONRPCMessage[],
    sink: EventSink,
    initialize: InitializeRequest | undefined
  ): Promise<boolean> {
    const extra = extraOf(exchange, this.state);
    const version =
      initialize?.params.protocolVersion ??
      exchange.header('mcp-protocol-version') ??
      DEFAULT_NEGOTIATED_PROTOCOL_VERSION;
    const polls = this.#outbound.log !== undefined && understandsPriming(version);
    const stream = this.#outbound.openRequestStream(messages, sink);
    try {
      if (polls) await this.#outbound.prime(stream);
      if (this.#closed) {
        this.#outbound.abandon(stream);
        return false;
      }
      this.#emit(messages, stream, extra, polls);
      return true;
    } catch (error) {
      // At once: an answer to another request of the batch must learn that its stream is gone.
      this.#outbound.abandon(stream);
      throw error;
    }
  }

  /** Hands the messages to the server, requests under the id that they are open as. */
  #emit(messages: JSONRPCMessage[], stream: RequestStream, extra: MessageExtraInfo, polls = false): void {
    let next = 0;
    for (const message of messages) {
      const request = isRequest(message) ? stream.requests[next++] : undefined;
      if (!request) {
        this.onmessage?.(message, extra);
        continue;
      }
      request.onresult = this.#stored?.onresult(request.message);
      const inbound = request.id === request.message.id ? request.message : { ...request.message, id: request.id };
      this.onmessage?.(inbound, polls ? { ...extra, ...this.#pollingCallbacks(request.id) } : extra);
    }
  }

  #pollingCallbacks(requestId: RequestId): MessageExtraInfo {
    return {
      closeSSEStream: () => this.closeSSEStream(requestId),
      closeStandaloneSSEStream: () => this.closeStandaloneSSEStream()
    };
  }

  async #get(exchange: Exchange): Promise<Reply> {
    if (this.#closed) return sessionNotFound();
    const lastEventId = this.#resumption ? exchange.header('last-event-id') : null;
    if (lastEventId) return this.#resume(exchange, lastEventId);
    const held = this.#routing && !this.options.takeover && (await this.#routing.standaloneIsHeld());
    const cursor = await this.#outbound.latestOnStandalone();
    // close() may have run while the other pods or the log were asked.
    if (this.#closed) return sessionNotFound();
    const sink = exchange.openEventStream();
    const connection = held ? undefined : this.#outbound.openStandaloneStream(sink);
    if (!connection) {
      return this.#problem(409, TRANSPORT_ERROR, 'Conflict: Only one SSE stream is allowed per session');
    }
    if (cursor !== undefined) this.#resumption?.follow(connection, cursor);
    await this.#routing?.standaloneOpened();
    // What was said before the other pods knew of this stream.
    void connection.follower?.read().catch(this.report);
    return eventStreamReply(sink, this.sessionId);
  }

  async #resume(exchange: Exchange, lastEventId: string): Promise<Reply> {
    try {
      const sink = exchange.openEventStream();
      const version = exchange.header('mcp-protocol-version') ?? DEFAULT_NEGOTIATED_PROTOCOL_VERSION;
      const refusal = await this.#resumption?.resume(lastEventId, sink, understandsPriming(version));
      switch (refusal) {
        case 'closed':
          return sessionNotFound();
        case 'over':
          // Tells an event source to come back no more (WHATWG HTML, section 9.2.3).
          return emptyReply(204);
        case 'unknown':
          return this.#problem(400, TRANSPORT_ERROR, 'Invalid event ID format');
        case 'conflict':
          return this.#problem(409, TRANSPORT_ERROR, 'Conflict: Stream already has an active connection');
        default:
          return eventStreamReply(sink, this.sessionId);
      }
    } catch (error) {
      this.report(error as Error);
      return errorReply(500, TRANSPORT_ERROR, 'Error replaying events');
    }
  }

  #problem(status: number, code: number, message: string): Reply {
    this.report(new Error(message));
    return errorReply(status, code, message);
  }

  /** A client that holds a stream is active though it sends nothing: its session must not expire under it. */
  #keepStored(): void {
    const { directory } = this.options;
    const sessionId = this.sessionId;
    if (!directory || sessionId === undefined || this.#refresh || this.#closed) return;
    this.#refresh = setInterval(() => {
      if (!this.busy) {
        clearInterval(this.#refresh);
        this.#refresh = undefined;
        return;
      }
      directory.touch(sessionId, this.#stored?.record).then(record => {
        if (!record) void this.close();
      }, this.report);
    }, directory.refreshMs);
    this.#refresh.unref?.();
  }
}
