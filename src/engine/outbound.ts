import type { JSONRPCMessage, JSONRPCRequest, RequestId } from 'mcp-sdk-upstream/types.js';
import { Connection } from './connection.js';
import { EventLog, type LoggedStream } from './eventLog.js';
import type { EventSink, Reply, ReportError } from './exchange.js';
import type { ResolvedOptions } from './options.js';
import { jsonReply, sessionNotFound } from './replies.js';
import { primingEvent } from './sse.js';
import { requestStreamName, STANDALONE, streamIdOf } from './streamId.js';

type Response = Extract<JSONRPCMessage, { result: unknown } | { error: unknown }>;

/** A stream as the client knows it: it outlives the connection when the client resumes. */
export interface Stream extends LoggedStream {
  connection: Connection | undefined;
}

/** The stream that answers one POST: it ends when each of its requests has its response. */
export interface RequestStream extends Stream {
  readonly requests: OpenRequest[];
  unanswered: number;
  /** Whether the client has a cursor on this stream, so that a response can wait for it in the log. */
  resumable: boolean;
  /** Whether the client has resumed the stream on another pod. */
  moved: boolean;
  /** In JSON mode: answers the exchange. */
  reply: ((reply: Reply) => void) | undefined;
}

/** A request of the client that the server has not answered yet. */
export interface OpenRequest {
  /** What the server knows the request by: the client's id, or a stand-in while that id is taken. */
  readonly id: RequestId;
  readonly message: JSONRPCRequest;
  readonly stream: RequestStream;
  response: Response | undefined;
  /** Runs before a successful result reaches the client: what it changed is stored before it is seen. */
  onresult: ((result: Record<string, unknown>) => Promise<void>) | undefined;
}

/** The wait for room is handed out unawaited, in an object, so that only those who want it wait. */
interface Written {
  room: void | Promise<void>;
}

/** Where messages go whose client is attached to another pod. */
export interface Elsewhere {
  readonly instance: string;
  toStandalone(message: JSONRPCMessage, eventId: string | undefined): Promise<void>;
  toStream(streamId: string, message: JSONRPCMessage, eventId: string | undefined): Promise<void>;
  streamEnded(streamId: string): Promise<void>;
}

/** Everything that goes from the server to the client: the streams, who waits on them, and what is written. */
export class Outbound {
  readonly log: EventLog | undefined;
  /** In external mode: the other pods. */
  elsewhere: Elsewhere | undefined;
  readonly #options: ResolvedOptions;
  readonly #report: ReportError;
  readonly #onopen: () => void;
  readonly #openRequests = new Map<RequestId, OpenRequest>();
  /** Streams that can be resumed, by id; without an event log there are none. */
  readonly #streams = new Map<string, Stream>();
  readonly #connections = new Set<Connection>();
  #standalone: Stream = { id: STANDALONE, connection: undefined };
  #sessionId: string | undefined;
  #standIns = 0;
  #closed = false;

  /** @param onopen - called when a client holds a stream that stays open */
  constructor(options: ResolvedOptions, report: ReportError, onopen: () => void) {
    this.#options = options;
    this.#onopen = onopen;
    this.#report = report;
    this.log = options.eventStore && new EventLog(options.eventStore, options.storeTimeoutMs, report);
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
    return this.#connections.size > 0 || this.#openRequests.size > 0;
  }

  /** Whether this request of the client is being answered here. */
  isOpen(requestId: RequestId): boolean {
    return this.#openRequests.has(requestId);
  }

  /** Requests that have not been answered. */
  get openRequests(): number {
    return this.#openRequests.size;
  }

  /** Opens the stream that answers a POST with these requests. */
  openRequestStream(messages: JSONRPCMessage[], answer: EventSink | ((reply: Reply) => void)): RequestStream {
    const requests = messages.filter(isRequest);
    const stream: RequestStream = {
      id: this.log ? this.#newStreamId(requests) : '',
      connection: undefined,
      requests: [],
      unanswered: requests.length,
      resumable: false,
      moved: false,
      reply: typeof answer === 'function' ? answer : undefined
    };
    for (const message of requests) {
      const id = this.#openRequests.has(message.id) ? this.#standInFor(message.id) : message.id;
      const request: OpenRequest = { id, message, stream, response: undefined, onresult: undefined };
      this.#openRequests.set(id, request);
      stream.requests.push(request);
    }
    if (typeof answer !== 'function') this.attach(stream, answer);
    return stream;
  }

  /** Gives the client a cursor on the stream before anything else happens on it. */
  async prime(stream: RequestStream): Promise<void> {
    const eventId = await this.log?.append(stream, {} as JSONRPCMessage);
    if (eventId === undefined || !stream.connection) return;
    void stream.connection.write(primingEvent(eventId, this.#options.retryInterval));
    stream.resumable = true;
  }

  /** Forgets a stream that could not be handed to the client. */
  abandon(stream: RequestStream): void {
    stream.connection?.close();
    this.#release(stream);
  }

  /** Opens the stream that a GET asks for; undefined when there is one that must not be replaced. */
  openStandaloneStream(sink: EventSink): Connection | undefined {
    if (this.#standalone.connection && !this.#options.takeover) return undefined;
    this.#standalone.connection?.close();
    return this.attach(this.#standalone, sink);
  }

  /** An event of the GET stream's log behind which everything is new, where other pods may write there and the log can tell. */
  async latestOnStandalone(): Promise<string | undefined> {
    return this.elsewhere && this.log?.latestOf(this.#standalone);
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
    if (stream?.moved) void this.elsewhere?.streamEnded(stream.id);
    else stream?.connection?.close();
  }

  /** Closes the streams that their clients can resume on another pod. */
  closeResumableStreams(): void {
    for (const { stream } of this.#openRequests.values()) if (stream.resumable) stream.connection?.close();
  }

  /** The stream with this id, as far as this pod knows it. */
  streamNamed(streamId: string): Stream {
    if (streamId === this.#standalone.id) return this.#standalone;
    return this.#streams.get(streamId) ?? { id: streamId, connection: undefined };
  }

  /** A request stream that is open on this pod. */
  openStream(streamId: string): RequestStream | undefined {
    const stream = this.#streams.get(streamId);
    return stream && 'requests' in stream ? (stream as RequestStream) : undefined;
  }

  /** Connects a client to a stream. */
  attach(stream: Stream, sink: EventSink): Connection {
    const connection = new Connection(sink, this.#options.keepAliveMs, {
      report: this.#report,
      onopen: this.#onopen,
      onended: ended => {
        this.#connections.delete(ended);
        if (stream.connection !== ended) return;
        stream.connection = undefined;
        if (!('requests' in stream) && stream !== this.#standalone) this.#streams.delete(stream.id);
      }
    });
    stream.connection = connection;
    this.#connections.add(connection);
    if (this.log) this.#streams.set(stream.id, stream);
    return connection;
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
    if (!request) throw noConnection(requestId);
    if (response) return this.#respond(request, response);
    if (this.#options.enableJsonResponse) return;
    const delivered = await this.#deliver(request.stream, message);
    if (delivered?.room) await delivered.room;
  }

  /**
   * Writes what another pod's server has said, and logged, where the client is attached here.
   * @param streamId - of a request stream, or `STANDALONE`
   */
  async writeTo(streamId: string, message: JSONRPCMessage, eventId?: string): Promise<void> {
    const stream = streamId === STANDALONE ? this.#standalone : this.#streams.get(streamId);
    await stream?.connection?.deliver(message, eventId);
  }

  /** Ends every stream; exchanges that wait for a JSON answer are told that the session is gone. */
  close(): void {
    this.#closed = true;
    for (const connection of [...this.#connections]) {
      // A replay that is under way ends where it is.
      connection.release();
      connection.close();
    }
    const streams = new Set([...this.#openRequests.values()].map(({ stream }) => stream));
    for (const stream of streams) {
      stream.reply?.(sessionNotFound());
      stream.reply = undefined;
      if (stream.moved) void this.elsewhere?.streamEnded(stream.id);
    }
  }

  async #respond(request: OpenRequest, response: Response): Promise<void> {
    if (request.onresult && 'result' in response) await request.onresult(response.result);
    const { stream } = request;
    const answer = request.id === request.message.id ? response : { ...response, id: request.message.id };
    if (!this.#options.enableJsonResponse) {
      const eventId = this.log && (await this.log.append(stream, answer));
      if (!this.#write(stream, answer, eventId) && stream.moved) {
        await this.elsewhere?.toStream(stream.id, answer, eventId);
      }
    }
    // Another answer to the same request may have ended the stream while this one was stored.
    if (this.#openRequests.get(request.id) !== request) {
      if (this.#closed) return;
      throw noConnection(request.id);
    }
    if (request.response === undefined) stream.unanswered--;
    request.response = answer;
    if (stream.unanswered > 0) return;

    this.#release(stream);
    if (stream.reply) {
      const answers = stream.requests.map(each => each.response);
      stream.reply(jsonReply(answers.length === 1 ? answers[0] : answers, this.#sessionId));
    } else if (stream.connection) {
      stream.connection.close();
    } else if (stream.moved) {
      await this.elsewhere?.streamEnded(stream.id);
    } else if (!this.#closed && !stream.resumable) {
      throw noConnection(request.id);
    }
  }

  /** Logs a message and gives it to whoever is attached, here or elsewhere; undefined when nobody is attached here. */
  async #deliver(stream: Stream, message: JSONRPCMessage): Promise<Written | undefined> {
    const eventId = this.log && (await this.log.append(stream, message));
    const written = this.#write(stream, message, eventId);
    if (!written && this.elsewhere) await this.#deliverElsewhere(stream, message, eventId);
    return written;
  }

  /** @returns undefined when nobody is attached here */
  #write(stream: Stream, message: JSONRPCMessage, eventId: string | undefined): Written | undefined {
    // Read after the log has answered: a resume may have replaced the connection meanwhile.
    const { connection } = stream;
    if (!connection) return undefined;
    try {
      const room = connection.deliver(message, eventId);
      if (eventId !== undefined && 'resumable' in stream) stream.resumable = true;
      return { room };
    } catch (error) {
      this.#report(error as Error);
      return { room: undefined };
    }
  }

  async #deliverElsewhere(stream: Stream, message: JSONRPCMessage, eventId: string | undefined): Promise<void> {
    if (stream === this.#standalone) await this.elsewhere?.toStandalone(message, eventId);
    else if ((stream as RequestStream).moved) await this.elsewhere?.toStream(stream.id, message, eventId);
  }

  #release(stream: RequestStream): void {
    for (const request of stream.requests) this.#openRequests.delete(request.id);
    this.#streams.delete(stream.id);
  }

  #newStreamId(requests: JSONRPCRequest[]): string {
    const name = this.elsewhere
      ? requestStreamName(
          this.elsewhere.instance,
          requests.map(request => request.id)
        )
      : globalThis.crypto.randomUUID();
    return streamIdOf(this.#sessionId, name);
  }

  /** JSON-RPC ids must be unique while in flight; where a client reuses one, both requests get their own answer. */
  #standInFor(id: RequestId): string {
    return `${String(id)}#${++this.#standIns}`;
  }
}

function noConnection(requestId: RequestId): Error {
  return new Error(`No connection established for request ID: ${String(requestId)}`);
}

export function isRequest(message: JSONRPCMessage): message is JSONRPCRequest {
  return 'method' in message && 'id' in message;
}

export function isResponse(message: JSONRPCMessage): message is Response {
  return !('method' in message) && ('result' in message || 'error' in message);
}
