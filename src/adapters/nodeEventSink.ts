import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { EventSink, StreamWriter } from '../engine/http/exchange.js';
import type { ReportError } from '../report.js';
import { setImmediate } from '../timers.js';
import { awaitedRoom, limitUnread, type Room } from './backpressure.js';

/** What the sink needs of the exchange that it answers. */
export interface NodeAnswer {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Whether the client has left. */
  readonly gone: boolean;
  readonly report: ReportError;
}

/**
 * An event stream on a `ServerResponse`. It is held back until the end of the turn of the event loop in which the engine
 * has replied: an answer that is complete by then goes out as one write with its length, anything else is streamed.
 *
 * The response belongs to the host, whose middleware may wrap, patch or end it at any time. So nothing relies on what its
 * methods return, and what they throw is reported and ends the stream.
 */
export class NodeEventSink implements EventSink {
  writer: StreamWriter | undefined;
  readonly #answer: NodeAnswer;
  readonly #res: ServerResponse;
  #held = '';
  #state: 'held' | 'open' | 'ended' = 'held';
  #oncomplete: (() => void) | undefined;
  #room: Room | undefined;

  constructor(answer: NodeAnswer) {
    this.#answer = answer;
    this.#res = answer.res;
  }

  /**
   * Sends the head and what has been written so far. Resolves after either side has ended the stream.
   * @throws Error if the response cannot be sent, because somebody else has sent one
   */
  async open(status: number, headers: Record<string, string>): Promise<void> {
    await endOfTurn();
    try {
      if (this.#state === 'ended') this.#sendWhole(status, headers);
      else this.#stream(status, headers);
    } catch (error) {
      this.discard();
      throw error;
    }
    if (!this.#isEnded()) await new Promise<void>(resolve => (this.#oncomplete = resolve));
  }

  /** Ends a stream that nobody reads, or will read. */
  discard(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#held = '';
    this.#makeRoom();
    this.writer?.gone();
    this.#oncomplete?.();
  }

  get bufferedBytes(): number {
    return this.#state === 'open' ? this.#res.writableLength : this.#held.length;
  }

  write(text: string): void | Promise<void> {
    if (this.#state === 'ended') return;
    if (this.#state === 'held') {
      this.#held += text;
      if (this.#held.length < this.#res.writableHighWaterMark) return;
    } else {
      // A wrapper may return nothing: then there is no `drain` to wait for.
      if (this.#send(text) !== false || this.#isEnded()) return;
      if (!this.#room) this.#res.once('drain', () => this.#makeRoom());
    }
    this.#room ??= awaitedRoom();
    return this.#room.promise;
  }

  end(): void {
    if (this.#state === 'ended') return;
    const wasOpen = this.#state === 'open';
    this.#state = 'ended';
    this.#makeRoom();
    if (!wasOpen) return;
    this.#finish(() => {
      this.#res.end();
      limitUnreadAnswer(this.#answer);
    });
  }

  cut(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#held = '';
    this.#makeRoom();
    this.#finish(() => this.#res.destroy());
  }

  #finish(how: () => void): void {
    try {
      how();
    } catch (error) {
      this.#answer.report(error as Error);
    }
    this.#oncomplete?.();
  }

  #sendWhole(status: number, headers: Record<string, string>): void {
    if (this.#hasNoReader()) return;
    const length = Buffer.byteLength(this.#held);
    writeHead(this.#answer, status, { ...headers, 'content-length': length });
    this.#res.end(firstChunk(this.#held, length), 'latin1');
    limitUnreadAnswer(this.#answer);
  }

  #stream(status: number, headers: Record<string, string>): void {
    // There would be no `close` to listen for.
    if (this.#hasNoReader()) return this.discard();
    writeHead(this.#answer, status, headers);
    this.#res.on('close', () => this.discard());
    this.#state = 'open';
    if (this.#held === '') this.#res.flushHeaders();
    else this.#writeHeld();
    if (!this.#isEnded()) this.writer?.opened?.();
  }

  #writeHeld(): void {
    const written = this.#send(firstChunk(this.#held, Buffer.byteLength(this.#held)), 'latin1');
    this.#held = '';
    if (!this.#room) return;
    if (written !== false) this.#makeRoom();
    else this.#res.once('drain', () => this.#makeRoom());
  }

  /** @returns what `write` of the response returned; undefined if the stream is over */
  #send(chunk: string | Buffer, encoding: BufferEncoding = 'utf8'): unknown {
    // Somebody else has ended the response, a time-out middleware for example. Writing would be an error event.
    if (this.#res.writableEnded) return this.discard();
    try {
      const written: unknown = this.#res.write(chunk, encoding);
      return this.#answer.gone ? undefined : written;
    } catch (error) {
      this.#answer.report(error as Error);
      return this.discard();
    }
  }

  /** The client has left. A response that somebody else has completed is closed as well, and that is an error. */
  #hasNoReader(): boolean {
    return this.#answer.gone && !this.#res.headersSent;
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  #isEnded(): boolean {
    return this.#state === 'ended';
  }
}

/**
 * Writes the head of a response. HTTP/2 has no headers about the connection (RFC 9113, section 8.2.2).
 * @throws Error if other code has sent a head before
 */
export function writeHead(
  { req, res }: Pick<NodeAnswer, 'req' | 'res'>,
  status: number,
  headers: OutgoingHttpHeaders
): void {
  if (res.headersSent) throw new Error('The reply was dropped: other code had sent a response before');
  if (req.httpVersionMajor >= 2) {
    headers = { ...headers };
    delete headers.connection;
  }
  res.writeHead(status, headers);
}

/** Disconnects a client that does not read the answer that it has been sent. */
export function limitUnreadAnswer({ res, report }: Pick<NodeAnswer, 'res' | 'report'>): void {
  const callOff = limitUnread(res.writableLength, problem => {
    report(problem);
    res.destroy();
  });
  if (callOff) res.once('finish', callOff).once('close', callOff);
}

/**
 * Settles when the event loop has gone through everything that was there to be read. Answers that are ready in the same
 * turn are so written one right after the other, which costs the system far less than one at a time.
 */
export function endOfTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}

/**
 * What to write first, as Latin-1: Node sends the headers in the encoding of a first chunk that is text, and
 * those of HTTP are Latin-1. A text that is as long in UTF-8 as in characters is ASCII, and the same in both.
 */
export function firstChunk(text: string, utf8Length: number): string | Buffer {
  return utf8Length === text.length ? text : Buffer.from(text);
}
