import { ErrorCode, type JSONRPCMessage, type JSONRPCRequest, type RequestId } from 'mcp-sdk-upstream/types.js';
import type { WaitBudget } from '../../deadline.js';
import { Connection, type ConnectionOwner, type Stream } from './connection.js';
import { EventLog, type LoggedStream } from './eventLog.js';
import type { EventSink, Reply } from '../http/exchange.js';
import type { ReportError } from '../../report.js';
import { isRequest, isResponse, type Response } from '../http/jsonRpc.js';
import {
  answersInJson,
  isAnswered,
  isOver,
  type OpenRequest,
  OpenRequests,
  type RequestStream
} from './streamRegistry.js';
import type { OtherPods, SessionContext } from '../context.js';
import { sessionNotFound } from '../http/replies.js';
import { checkJson } from './sse.js';
import { finalCursorOf, requestStreamName, STANDALONE, streamIdOf } from './streamId.js';

/** The wait for room is handed out unawaited, in an object, so that only those who want it wait. */
interface Written {
  room: void | Promise<void>;
  /** Why it could not be written as JSON, if so. */
  error?: Error;
}

const NONE: readonly Connection[] = [];

/** Everything that goes from the server to the client: the streams, who waits on them, and what is written. */
export class Outbound implements ConnectionOwner {
  readonly log: EventLog | undefined;
  /** In external mode: the other pods. */
  otherPods: OtherPods | undefined;
  readonly #context: SessionContext;
  readonly #openRequests = new OpenRequests();
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
    this.log = options.eventStore && new EventLog(options.eventStore, options.storeTimeoutMs, report);
    this.#streams = this.log && new Map();
  }

  get sessionId(): string | undefined {
    return this.#sessionId;
  }

  /** From here on the streams are this session's. */
  set sessionId(sessionId: string | undefined) {
    this.#sessionId = sessionId;
    this.#standalone = { id: streamIdOf(sessionId, STANDALONE), connection: undefined };
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether a client is attached or waits for an answer. */
  get busy(): boolean {
    return this.#connections.length > 0 || this.#openRequests.size > 0;
  }

  /** Whether this request of the client is being answered here. */
  isOpen(requestId: RequestId): boolean {
    return this.#openRequests.get(requestId) !== undefined;
  }

  /** Requests that are still to be answered. */
  get awaitedRequests(): number {
    return this.#openRequests.awaited;
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
    const stream = this.#openRequests.open(requests, this.log ? this.#newStreamId(requests) : '', reply);
    if (typeof answer === 'function') this.#context.attached();
    else this.attach(stream, answer, takesCursors);
    return stream;
  }

  /** Gives the client a cursor on the stream before anything else happens on it. */
  async prime(stream: RequestStream, waits: WaitBudget): Promise<void> {
    const { connection } = stream;
    const give = (eventId: string): void => {
      if (connection && !connection.hasCursor && connection.giveCursor(eventId)) stream.resumable = true;
    };
    const eventId = await this.log?.append(stream, {} as JSONRPCMessage, waits, give);
    if (eventId !== undefined) give(eventId);
  }

  /** The server has been told that the client does not want this request answered any more. */
  cancelled(requestId: RequestId): void {
    const request = this.#openRequests.get(requestId);
    // One that has not reached the server yet will be answered: the server has taken no notice of the cancellation.
    if (request?.state !== 'asked') return;
    request.state = 'cancelled';
    this.#releaseIfOver(request.stream);
  }

  /** Forgets a stream that could not be handed to the client. */
  release(stream: RequestStream): void {
    stream.connection?.close();
    this.#release(stream);
  }

  /** Opens the stream that a GET asks for; undefined when there is one that must not be replaced. */
  openStandaloneStream(sink: EventSink, takesCursors: boolean): Connection | undefined {
    if (this.#standalone.connection && !this.#context.options.takeover) return undefined;
    this.#standalone.connection?.close();
    return this.attach(this.#standalone, sink, takesCursors);
  }

  /**
   * An event of the GET stream's log behind which everything is new, where other pods may write there: for the pod to
   * follow the log from, and for the client to come back with.
   * @param isForClient - whether the client can use it, so that an event is stored if the log cannot tell one
   */
  async latestOnStandalone(isForClient: boolean, waits: WaitBudget): Promise<string | undefined> {
    if (!this.otherPods || !this.log) return undefined;
    if (this.log.tellsLatest) return this.log.latestOf(this.#standalone, waits);
    return isForClient ? this.log.append(this.#standalone, {} as JSONRPCMessage, waits) : undefined;
  }

  get holdsStandaloneStream(): boolean {
    return this.#standalone.connection !== undefined;
  }

  closeStandaloneStream(): void {
    this.#standalone.connection?.close();
  }

  /** Closes the connection of a request's stream; the client resumes it after the retry interval. */
  closeStreamOf(requestId: RequestId): void {
    const stream = this.#openRequests.get(requestId)?.stream;
    if (stream?.moved) void this.otherPods?.streamEnded(stream.id);
    else stream?.connection?.close();
  }

  /** Closes the streams that their clients can resume on another pod. */
  closeResumableStreams(): void {
    for (const stream of this.#openRequests.streams) if (stream.resumable) stream.connection?.close();
  }

  /** The stream with this id, as far as this pod knows it. */
  streamNamed(streamId: string): Stream {
    if (streamId === this.#standalone.id) return this.#standalone;
    return this.#streams?.get(streamId) ?? { id: streamId, connection: undefined };
  }

  /** The streams of which this pod has stored events, and to which the client may come back. */
  get loggedStreams(): LoggedStream[] {
    const standalone = this.#standalone.lastEventId === undefined ? [] : [this.#standalone];
    return [...standalone, ...this.#openRequests.logged];
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

  connectionOpened(): void {
    this.#context.attached();
  }

  connectionEnded(ended: Connection): void {
    const { stream } = ended;
    this.#connections =
      this.#connections.length === 1 ? NONE : this.#connections.filter(connection => connection !== ended);
    if (stream.connection !== ended) return;
    stream.connection = undefined;
    if ('requests' in stream) this.#releaseIfOver(stream as RequestStream);
    else if (stream !== this.#standalone) this.#streams?.delete(stream.id);
  }

  /** {@link Transport.send}: responses to the stream of their request, the rest where `relatedRequestId` says. */
  async send(message: JSONRPCMessage, relatedRequestId: RequestId | undefined): Promise<void> {
    const response = isResponse(message) ? message : undefined;
    const requestId = response ? response.id : relatedRequestId;
    if (requestId === undefined) {
      if (response) {
        throw new Error('Cannot send a response on a standalone SSE stream unless resuming a previous client request');
      }
      // A slow reader of the standalone stream must not hold up whoever notifies many sessions.
      await this.#deliver(this.#standalone, message);
      return;
    }
    const request = this.#openRequests.get(requestId);
    if (!request) {
      if (this.#openRequests.isInVain(message, requestId)) return;
      throw noConnection(requestId);
    }
    if (response) return this.#respond(request, response);
    if (this.#context.options.enableJsonResponse) return;
    const delivered = await this.#deliver(request.stream, message);
    if (delivered?.room) await delivered.room;
  }

  /**
   * Writes what another pod's server has said, and logged, where the client is attached here.
   * @param streamId - of a request stream, or `STANDALONE`
   */
  async writeTo(streamId: string, message: JSONRPCMessage, eventId?: string): Promise<void> {
    const stream = streamId === STANDALONE ? this.#standalone : this.#streams?.get(streamId);
    await stream?.connection?.deliver(message, eventId);
  }

  /** The session is over, and with it what was logged of its streams. Nobody waits for that. */
  deleteLogs(): void {
    const sessionId = this.#sessionId;
    if (!this.log || sessionId === undefined) return;
    const streamIds = new Set([streamIdOf(sessionId, STANDALONE), ...this.loggedStreams.map(({ id }) => id)]);
    void this.log.deleteStreams(sessionId, [...streamIds]);
  }

  /** Ends every stream; exchanges that wait for a JSON answer are told that the session is gone. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#connections) {
      // A replay that is under way ends where it is.
      connection.release();
      connection.close();
    }
    for (const stream of this.#openRequests.streams) {
      stream.reply?.(sessionNotFound());
      stream.reply = undefined;
      if (stream.moved) void this.otherPods?.streamEnded(stream.id);
    }
  }

  async #respond(request: OpenRequest, response: Response): Promise<void> {
    const noted = 'result' in response ? request.onresult?.(response.result) : undefined;
    if (noted) await noted;
    const { stream } = request;
    const given = request.id === request.message.id ? response : { ...response, id: request.message.id };
    // The log, and the pod that reads it, get what can be written. Without a log that is found out as it is written.
    const answer = this.log ? this.#inJson(given) : given;
    if (!this.#context.options.enableJsonResponse) {
      request.answered = true;
      const isLast = isAnswered(stream);
      const eventId = await (isLast ? this.log?.appendLast(stream, answer) : this.#append(stream, answer));
      const finalCursor = isLast ? this.#finalCursorAfter(stream, answer, eventId) : undefined;
      const written = this.#write(stream, answer, eventId, finalCursor);
      if (written?.error) this.#write(stream, notJson(answer), eventId);
      if (!written && stream.moved) {
        await this.otherPods?.toStream(stream.id, answer, eventId);
      }
    }
    // Another answer to the same request may have ended the stream while this one was stored.
    if (this.#openRequests.get(request.id) !== request) {
      if (this.#closed) return;
      throw noConnection(request.id);
    }
    if (request.response === undefined) stream.unanswered--;
    request.response = answer;
    if (stream.unanswered > 0) return this.#releaseIfOver(stream);

    this.#release(stream);
    if (stream.reply) {
      stream.reply(this.#answersInJson(stream));
    } else if (stream.connection) {
      stream.connection.close();
    } else if (stream.moved) {
      await this.otherPods?.streamEnded(stream.id);
    } else if (!this.#closed && !stream.resumable) {
      throw noConnection(request.id);
    }
  }

  /** The SDK's client comes back after an error, if it has a cursor. Any pod then knows that it has had everything. */
  #finalCursorAfter(stream: RequestStream, answer: Response, eventId: string | undefined): string | undefined {
    const comesBack = 'error' in answer && (eventId !== undefined || stream.resumable);
    return this.otherPods && comesBack ? finalCursorOf(this.#sessionId) : undefined;
  }

  /** Logs a message and gives it to whoever is attached, here or elsewhere; undefined when nobody is attached here. */
  async #deliver(stream: Stream, message: JSONRPCMessage): Promise<Written | undefined> {
    if (this.log || (this.otherPods && !stream.connection)) this.#check(message);
    const eventId = await this.#append(stream, message);
    const written = this.#write(stream, message, eventId);
    if (written?.error) throw written.error;
    if (!written && this.otherPods) await this.#deliverElsewhere(stream, message, eventId);
    return written;
  }

  /** @returns undefined without a log, and if it failed or is late: what is stored late follows */
  async #append(stream: Stream, message: JSONRPCMessage): Promise<string | undefined> {
    return this.log?.append(stream, message, undefined, eventId => {
      if (stream.connection || this.#closed) return this.storedLate(stream.id, message, eventId);
      if (stream === this.#standalone || (stream as RequestStream).moved)
        void this.otherPods?.storedLate(stream.id, message, eventId);
    });
  }

  /** A message that the client has had here without an event id has one now. */
  storedLate(streamId: string, message: JSONRPCMessage, eventId: string): void {
    const stream = this.streamNamed(streamId);
    if (stream.connection?.storedLate(message, eventId) && 'resumable' in stream) stream.resumable = true;
  }

  /** @returns undefined when nobody is attached here */
  #write(
    stream: Stream,
    message: JSONRPCMessage,
    eventId: string | undefined,
    finalCursor?: string
  ): Written | undefined {
    // Read after the log has answered: a resume may have replaced the connection meanwhile.
    const { connection } = stream;
    if (!connection) return undefined;
    try {
      const room = connection.deliver(message, eventId, finalCursor);
      if (eventId !== undefined && 'resumable' in stream) stream.resumable = true;
      return { room };
    } catch (error) {
      this.#context.report(error as Error);
      return { room: undefined, error: error as Error };
    }
  }

  /** @throws TypeError if a message cannot be written as JSON; that is also reported */
  #check(message: JSONRPCMessage): void {
    try {
      checkJson(message);
    } catch (error) {
      this.#context.report(error as Error);
      throw error;
    }
  }

  /** A response, or an error in its place if it cannot be written as JSON: that has been reported. */
  #inJson(response: Response): Response {
    try {
      this.#check(response);
      return response;
    } catch {
      return notJson(response);
    }
  }

  #answersInJson(stream: RequestStream): Reply {
    try {
      return answersInJson(stream, this.#sessionId);
    } catch {
      for (const request of stream.requests) request.response &&= this.#inJson(request.response);
      return answersInJson(stream, this.#sessionId);
    }
  }

  async #deliverElsewhere(stream: Stream, message: JSONRPCMessage, eventId: string | undefined): Promise<void> {
    if (stream === this.#standalone) await this.otherPods?.toStandalone(message, eventId);
    else if ((stream as RequestStream).moved) await this.otherPods?.toStream(stream.id, message, eventId);
  }

  #release(stream: RequestStream): void {
    this.#openRequests.release(stream);
    this.#streams?.delete(stream.id);
  }

  /** No answer ends the stream of requests that were cancelled; who is attached to it here may stay. */
  #releaseIfOver(stream: RequestStream): void {
    if (stream.connection || stream.unanswered === 0 || !isOver(stream)) return;
    this.#release(stream);
    this.log?.complete(stream);
    stream.reply?.(this.#answersInJson(stream));
    if (stream.moved) void this.otherPods?.streamEnded(stream.id);
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

/** What a client gets in place of a result that is not JSON: one that gets nothing would wait for ever. */
function notJson({ id }: Response): Response {
  const error = { code: ErrorCode.InternalError, message: 'Internal error: the result is not JSON' };
  return { jsonrpc: '2.0', id, error };
}

function noConnection(requestId: RequestId): Error {
  return new Error(`No connection established for request ID: ${String(requestId)}`);
}
