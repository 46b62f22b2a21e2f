import type { ServerResponse } from 'node:http';
import type { EventSink, StreamWriter } from '../engine/http/exchange.js';
import { setImmediate } from '../timers.js';
import { awaitedRoom, type Room } from './backpressure.js';

/**
 * An event stream on a `ServerResponse`. It is held back until the end of the turn of the event loop in which the engine
 * has replied: an answer that is complete by then goes out as one write with its length, anything else is streamed.
 */
export class NodeEventSink implements EventSink {
  writer: StreamWriter | undefined;
  readonly #res: ServerResponse;
  #held = '';
  #state: 'held' | 'open' | 'ended' = 'held';
  #oncomplete: (() => void) | undefined;
  #room: Room | undefined;

  constructor(res: ServerResponse) {
    this.#res = res;
  }

  /** Sends the head and what has been written so far. Resolves when either side has ended the stream. */
  async open(status: number, headers: Record<string, string>): Promise<void> {
    await endOfTurn();
    if (this.#state === 'ended') return this.#sendWhole(status, headers);
    this.#stream(status, headers);
    if (!this.#isEnded()) await new Promise<void>(resolve => (this.#oncomplete = resolve));
  }

  get bufferedBytes(): number {
    return this.#state === 'open' ? this.#res.writableLength : this.#held.length;
  }

  write(text: string): void | Promise<void> {
    if (this.#state === 'ended') return;
    if (this.#state === 'open') {
      if (this.#res.write(text) || this.#res.destroyed) return;
      if (!this.#room) this.#res.once('drain', () => this.#makeRoom());
    } else {
      this.#held += text;
      if (this.#held.length < this.#res.writableHighWaterMark) return;
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
    this.#res.end();
    this.#oncomplete?.();
  }

  cut(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#held = '';
    this.#makeRoom();
    this.#res.destroy();
    this.#oncomplete?.();
  }

  #sendWhole(status: number, headers: Record<string, string>): void {
    if (this.#isTaken()) return;
    const length = Buffer.byteLength(this.#held);
    this.#res.writeHead(status, { ...headers, 'content-length': length });
    this.#res.end(firstChunk(this.#held, length), 'latin1');
  }

  #stream(status: number, headers: Record<string, string>): void {
    if (this.#isTaken()) return this.#gone();
    this.#res.writeHead(status, headers);
    this.#res.on('close', () => this.#gone());
    this.#state = 'open';
    if (this.#held === '') this.#res.flushHeaders();
    else this.#writeHeld();
    this.writer?.opened?.();
  }

  #writeHeld(): void {
    const hasRoom = this.#res.write(firstChunk(this.#held, Buffer.byteLength(this.#held)), 'latin1');
    this.#held = '';
    if (!this.#room) return;
    if (hasRoom) this.#makeRoom();
    else this.#res.once('drain', () => this.#makeRoom());
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  #isEnded(): boolean {
    return this.#state === 'ended';
  }

  /** The client may have left before there was anything to listen on, or a time-out middleware has answered. */
  #isTaken(): boolean {
    return this.#res.destroyed || this.#res.headersSent;
  }

  #gone(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#makeRoom();
    this.writer?.gone();
    this.#oncomplete?.();
  }
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
