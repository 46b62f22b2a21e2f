import type { JSONRPCMessage, JSONRPCRequest, RequestId } from '../../sdkTypes.js';
import type { WaitBudget } from '../../deadline.js';
import { Connection, type ConnectionOwner, type Stream } from './connection.js';
import { type EventLog, eventLogOf, type LoggedStream } from './eventLog.js';
import type { EventSink, Reply } from '../http/exchange.js';
import type { ReportError } from '../../report.js';
import { isRequest } from '../http/jsonRpc.js';
import { answersInJson, isOver, OpenRequests, type RequestStream } from './openRequests.js';
import type { OtherPods, SessionContext } from '../context.js';
import type { ResolvedOptions } from '../options.js';
import { sessionNotFound } from '../http/replies.js';
import { requestStreamName, STANDALONE, streamIdOf } from './streamId.js';
import type { StreamKind } from '../../events/payloads.js';
import { performance } from '../../timers.js';

const NONE: readonly Connection[] = [];

/** The streams of one session, and the connections of the client on this pod. outbound.ts sends on them. */
export class SessionStreams implements ConnectionOwner {
  readonly log: EventLog | undefined;
  /** In external mode: the other pods. */
  otherPods: OtherPods | undefined;
  readonly #context: SessionContext;
  readonly openRequests = new OpenRequests();
  /** Streams that can be resumed, by id; absent without an event log. */
  readonly #streams: Map<string, Stream> | undefined;
  /** Hardly ever more than two. */
  #connections = NONE;
  #standalone: Stream = { id: STANDALONE, connection: undefined };
  #sessionId: string | undefined;
  #closed = false;

  constructor(context: SessionContext) {
    const { options, report } = context;
    this.#context = context;
    this.log = eventLogOf(options, report);
    this.#streams = this.log && new Map();
  }

  get sessionId(): string | undefined {
    return this.#sessionId;
  }

  /** Also names the standalone stream after the session. */
  set sessionId(sessionId: string | undefined) {
    this.#sessionId = sessionId;
    this.#standalone = { id: streamIdOf(sessionId, STANDALONE), connection: undefined };
  }

  get options(): ResolvedOptions {
    return this.#context.options;
  }

  /** The stream of the client's GET. */
  get standalone(): Stream {
    return this.#standalone;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a client is attached or waits for an answer. */
  get busy(): boolean {
    return this.#connections.length > 0 || this.openRequests.size > 0;
  }

  /** The number of SSE streams whose client is connected to this pod. */
  get attachedStreams(): number {
    return this.#connections.length;
  }

  /** Whether this request of the client is being answered here. */
  isOpen(requestId: RequestId): boolean {
    return this.openRequests.get(requestId) !== undefined;
  }

  /** The number of requests without an answer. */
  get awaitedRequests(): number {
    return this.openRequests.awaited;
  }

  /**
   * Opens the stream that answers a POST with these requests.
   * @param takesCursors - whether the client understands an event without data
   */
  openRequestStream(
    messages: JSONRPCMessage[],
    answer: EventSink | ((reply: Reply) => void),
    takesCursors = false
  ): RequestStream {
    const requests = messages.filter(isRequest);
    const reply = typeof answer === 'function' ? answer : undefined;
    const stream = this.openRequests.open(requests, this.log ? this.#newStreamId(requests) : '', reply);
    if (typeof answer === 'function') this.#context.attached();
    else this.attach(stream, answer, takesCursors);
    return stream;
  }

  /**
   * Sends the client a cursor on the stream before anything else.
   * @returns a promise if the store has to be asked for the cursor
   */
  sendPrimingEvent(stream: RequestStream, waits: WaitBudget): void | Promise<void> {
    const { connection } = stream;
    const give = (eventId: string): void => {
      if (connection && !connection.hasCursor && connection.giveCursor(eventId)) stream.resumable = true;
    };
    const start = this.log?.startOf(stream);
    if (start !== undefined) return give(start);
    const stored = this.log?.append(stream, {} as JSONRPCMessage, waits, give);
    return stored?.then(eventId => void (eventId !== undefined && give(eventId)));
  }

  /** Called after the server has received the cancellation of this request. */
  cancelled(requestId: RequestId): void {
    const request = this.openRequests.get(requestId);
    // If the request has not reached the server yet, the server ignores the cancellation and will answer.
    if (request?.state !== 'asked') return;
    request.state = 'cancelled';
    request.observed?.end('cancelled');
    this.removeIfOver(request.stream);
  }

  /** Closes and forgets a stream that could not be handed to the client. */
  release(stream: RequestStream): void {
    stream.connection?.close();
    this.remove(stream);
  }

  /** Opens the GET stream; undefined if there is one that must not be replaced. */
  openStandaloneStream(sink: EventSink, takesCursors: boolean): Connection | undefined {
    if (this.#standalone.connection && !this.#context.options.takeover) return undefined;
    this.replaceStandaloneStream('this-pod');
    return this.attach(this.#standalone, sink, takesCursors);
  }

  /**
   * Returns the id of the newest event in the log of the GET stream: this pod follows the log from it, and the client can
   * resume from it. Undefined without a log, and without other pods.
   * @param isForClient - whether the client accepts cursors: then an event is stored if the log cannot report its newest
   */
  async latestOnStandalone(isForClient: boolean, waits: WaitBudget): Promise<string | undefined> {
    if (!this.otherPods || !this.log) return undefined;
    if (this.log.knowsLatest) return this.log.latestOf(this.#standalone, waits);
    return isForClient ? this.log.append(this.#standalone, {} as JSONRPCMessage, waits) : undefined;
  }

  get holdsStandaloneStream(): boolean {
    return this.#standalone.connection !== undefined;
  }

  /** Closes the GET stream, because a newer one takes its place. */
  replaceStandaloneStream(by: 'this-pod' | 'other-pod'): void {
    if (!this.#standalone.connection) return;
    const { events } = this.options;
    if (events.hasStreamListeners) events.stream(this.#sessionId, { type: 'taken-over', by });
    this.#standalone.connection.close();
  }

  closeStandaloneStream(): void {
    this.#standalone.connection?.close();
  }

  /** Closes the connection of a request's stream; the client resumes it after the retry interval. */
  closeStreamOf(requestId: RequestId): void {
    const stream = this.openRequests.get(requestId)?.stream;
    if (stream?.isOnOtherPod) void this.otherPods?.streamEnded(stream.id);
    else stream?.connection?.close();
  }

  /** Closes the streams that their clients can resume on another pod. */
  closeResumableStreams(): void {
    for (const stream of this.openRequests.streams) if (stream.resumable) stream.connection?.close();
  }

  /** The stream with this id, as far as this pod knows it. */
  streamNamed(streamId: string): Stream {
    if (streamId === this.#standalone.id) return this.#standalone;
    return this.#streams?.get(streamId) ?? { id: streamId, connection: undefined };
  }

  /** The streams that have events stored by this pod, and that the client may resume. */
  get loggedStreams(): LoggedStream[] {
    const standalone = this.#standalone.lastEventId === undefined ? [] : [this.#standalone];
    return [...standalone, ...this.openRequests.logged];
  }

  /** A request stream that is open on this pod. */
  openStream(streamId: string): RequestStream | undefined {
    const stream = this.#streams?.get(streamId);
    return stream && 'requests' in stream ? (stream as RequestStream) : undefined;
  }

  /** Connects a client to a stream. */
  attach(stream: Stream, sink: EventSink, takesCursors: boolean): Connection {
    const connection = new Connection(stream, sink, this, takesCursors);
    stream.connection = connection;
    this.#connections = this.#connections.length === 0 ? [connection] : [...this.#connections, connection];
    this.#streams?.set(stream.id, stream);
    return connection;
  }

  get keepAliveMs(): number {
    return this.#context.options.keepAliveMs;
  }

  get retryInterval(): number | undefined {
    return this.#context.options.retryInterval;
  }

  get report(): ReportError {
    return this.#context.report;
  }

  connectionOpened(connection: Connection): void {
    this.#context.attached();
    const { events } = this.options;
    if (!events.hasStreamListeners) return;
    connection.openedAt = performance.now();
    events.stream(this.#sessionId, { type: 'opened', kind: this.#kindOf(connection.stream) });
  }

  connectionEnded(ended: Connection): void {
    const { stream, openedAt } = ended;
    if (openedAt !== undefined) {
      const closed = { type: 'closed', kind: this.#kindOf(stream), durationMs: performance.now() - openedAt } as const;
      this.options.events.stream(this.#sessionId, closed);
    }
    this.#connections =
      this.#connections.length === 1 ? NONE : this.#connections.filter(connection => connection !== ended);
    if (stream.connection !== ended) return;
    stream.connection = undefined;
    if ('requests' in stream) this.removeIfOver(stream as RequestStream);
    else if (stream !== this.#standalone) this.#streams?.delete(stream.id);
  }

  /**
   * Writes a message that another pod's server has sent and logged, if the client is attached here.
   * @param streamId - the id of a request stream, or `STANDALONE`
   */
  async writeTo(streamId: string, message: JSONRPCMessage, eventId?: string): Promise<void> {
    const stream = streamId === STANDALONE ? this.#standalone : this.#streams?.get(streamId);
    await stream?.connection?.deliver(message, eventId);
  }

  /** Deletes the logs of an ended session. Does not wait for the store. */
  deleteLogs(): void {
    const sessionId = this.#sessionId;
    if (!this.log || sessionId === undefined) return;
    const streamIds = new Set([streamIdOf(sessionId, STANDALONE), ...this.loggedStreams.map(({ id }) => id)]);
    void this.log.deleteStreams(sessionId, [...streamIds]);
  }

  /** Ends every stream. Exchanges that wait for a JSON answer get the reply "session not found". */
  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) {
      // Stops a replay in progress.
      connection.delivery?.endReplay();
      connection.close();
    }
    for (const stream of this.openRequests.streams) {
      stream.reply?.(sessionNotFound());
      stream.reply = undefined;
      if (stream.isOnOtherPod) void this.otherPods?.streamEnded(stream.id);
      for (const { observed } of stream.requests) observed?.end('closed');
    }
  }

  /** Forgets a stream and its requests. */
  remove(stream: RequestStream): void {
    this.openRequests.release(stream);
    this.#streams?.delete(stream.id);
  }

  /** Removes a stream that no answer will end, because its requests were cancelled. An attached client may keep it. */
  removeIfOver(stream: RequestStream): void {
    if (stream.connection || stream.unanswered === 0 || !isOver(stream)) return;
    this.remove(stream);
    this.log?.complete(stream);
    stream.reply?.(answersInJson(stream, this.#sessionId, this.report));
    if (stream.isOnOtherPod) void this.otherPods?.streamEnded(stream.id);
  }

  #kindOf({ id }: Stream): StreamKind {
    return id === this.#standalone.id ? 'standalone' : 'request';
  }

  #newStreamId(requests: JSONRPCRequest[]): string {
    const name = this.otherPods
      ? requestStreamName(
          this.otherPods.instance,
          requests.map(request => request.id)
        )
      : globalThis.crypto.randomUUID();
    return streamIdOf(this.#sessionId, name);
  }
}
