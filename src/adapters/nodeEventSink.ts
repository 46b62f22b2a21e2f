import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { EventSink, StreamWriter } from '../engine/http/exchange.js';
import type { ReportError } from '../report.js';
import { awaitDrain, limitUnread, type Drain } from './backpressure.js';
import { firstWriteDue } from './firstWrite.js';

/** The parts of an exchange that its sink needs. */
export interface NodeAnswer {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Whether the client has left. */
  readonly gone: boolean;
  readonly report: ReportError;
}

/**
 * An event stream on a `ServerResponse`. It is held back until the end of the turn of the event loop in which the
 * engine replies, and a moment longer if a message is on its way to the event log. An answer that is complete by then is
 * sent as one write with its length. Any other answer is streamed.
 *
 * The response belongs to the host, whose middleware may wrap, patch or end it at any time. So nothing relies on the
 * return values of its methods. If they throw, the error is reported and the stream ends.
 */
export class NodeEventSink implements EventSink {
  writer: StreamWriter | undefined;
  readonly #answer: NodeAnswer;
  readonly #res: ServerResponse;
  #held = '';
  #state: 'held' | 'open' | 'ended' = 'held';
  #oncomplete: (() => void) | undefined;
  #drain: Drain | undefined;

  constructor(answer: NodeAnswer) {
    this.#answer = answer;
    this.#res = answer.res;
  }

  /**
   * Sends the head and the events written so far. Resolves after either side has ended the stream.
   * @throws Error if other code has already sent a response
   */
  async open(status: number, headers: Record<string, string>): Promise<void> {
    await firstWriteDue(this);
    try {
      if (this.ended) this.#sendWhole(status, headers);
      else this.#stream(status, headers);
    } catch (error) {
      this.discard();
      throw error;
    }
    if (!this.ended) await new Promise<void>(resolve => (this.#oncomplete = resolve));
  }

  /** Ends a stream without a reader. */
  discard(): void {
    if (this.ended) return;
    this.#state = 'ended';
    this.#held = '';
    this.#resolveDrain();
    this.writer?.gone();
    this.#oncomplete?.();
  }

  get bufferedBytes(): number {
    return this.#state === 'open' ? this.#res.writableLength : this.#held.length;
  }

  write(text: string): void | Promise<void> {
    if (this.ended) return;
    if (this.#state === 'held') {
      this.#held += text;
      if (this.#held.length < this.#res.writableHighWaterMark) return;
    } else {
      // A wrapper may return undefined: then no `drain` follows.
      if (this.#send(text) !== false || this.ended) return;
      if (!this.#drain) this.#res.once('drain', () => this.#resolveDrain());
    }
    this.#drain ??= awaitDrain();
    return this.#drain.promise;
  }

  end(): void {
    if (this.ended) return;
    const wasOpen = this.#state === 'open';
    this.#state = 'ended';
    this.#resolveDrain();
    if (!wasOpen) return;
    this.#finish(() => {
      this.#res.end();
      limitUnreadAnswer(this.#answer);
    });
  }

  disconnect(): void {
    if (this.ended) return;
    this.#state = 'ended';
    this.#held = '';
    this.#resolveDrain();
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
    // Not in a copy: it costs a microsecond.
    headers['content-length'] = String(length);
    writeHead(this.#answer, status, headers);
    this.#res.end(firstChunk(this.#held, length), 'latin1');
    limitUnreadAnswer(this.#answer);
  }

  #stream(status: number, headers: Record<string, string>): void {
    // No `close` event would follow.
    if (this.#hasNoReader()) return this.discard();
    writeHead(this.#answer, status, headers);
    this.#res.on('close', () => this.discard());
    this.#state = 'open';
    if (this.#held === '') this.#res.flushHeaders();
    else this.#writeHeld();
    if (!this.ended) this.writer?.opened?.();
  }

  #writeHeld(): void {
    const written = this.#send(firstChunk(this.#held, Buffer.byteLength(this.#held)), 'latin1');
    this.#held = '';
    if (!this.#drain) return;
    if (written !== false) this.#resolveDrain();
    else this.#res.once('drain', () => this.#resolveDrain());
  }

  /** @returns what `write` of the response returned; undefined if the stream is over */
  #send(chunk: string | Buffer, encoding: BufferEncoding = 'utf8'): unknown {
    // Other code has ended the response, for example a time-out middleware. A write would emit an error event.
    if (this.#res.writableEnded) return this.discard();
    try {
      const written: unknown = this.#res.write(chunk, encoding);
      return this.#answer.gone ? undefined : written;
    } catch (error) {
      this.#answer.report(error as Error);
      return this.discard();
    }
  }

  /** Whether the client has left. A response that other code has completed is also closed, but that is an error. */
  #hasNoReader(): boolean {
    return this.#answer.gone && !this.#res.headersSent;
  }

  #resolveDrain(): void {
    this.#drain?.resolve();
    this.#drain = undefined;
  }

  get ended(): boolean {
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

/** Disconnects a client that does not read its answer. */
export function limitUnreadAnswer({ res, report }: Pick<NodeAnswer, 'res' | 'report'>): void {
  const stopWatching = limitUnread(res.writableLength, problem => {
    report(problem);
    res.destroy();
  });
  if (stopWatching) res.once('finish', stopWatching).once('close', stopWatching);
}

/**
 * The first chunk to write. If it is text, Node sends the headers in its encoding, and HTTP headers are Latin-1. A text
 * whose UTF-8 length equals its number of characters is ASCII: its bytes are the same in both encodings.
 */
export function firstChunk(text: string, utf8Length: number): string | Buffer {
  return utf8Length === text.length ? text : Buffer.from(text);
}
