import type { ServerResponse } from 'node:http';
import type { EventSink } from '../engine/exchange.js';

/**
 * An event stream on a `ServerResponse`. It is held back for one turn of the event loop after the engine
 * has replied: an answer that is complete by then goes out as one write with its length, anything else is streamed.
 */
export class NodeEventSink implements EventSink {
  onopen?: () => void;
  ongone?: () => void;
  readonly #res: ServerResponse;
  #held = '';
  #state: 'held' | 'opening' | 'open' | 'ended' = 'held';
  #head: { status: number; headers: Record<string, string> } | undefined;
  #oncomplete: (() => void) | undefined;
  #room: Promise<void> | undefined;

  constructor(res: ServerResponse) {
    this.#res = res;
  }

  /** Sends the head and what has been written so far. Resolves when either side has ended the stream. */
  open(status: number, headers: Record<string, string>): Promise<void> {
    this.#head = { status, headers };
    if (this.#state === 'ended') {
      this.#sendWhole();
      return Promise.resolve();
    }
    this.#state = 'opening';
    setImmediate(() => this.#stream());
    return new Promise(resolve => (this.#oncomplete = resolve));
  }

  get bufferedBytes(): number {
    return this.#state === 'open' ? this.#res.writableLength : this.#held.length;
  }

  write(text: string): void | Promise<void> {
    if (this.#state === 'ended') return;
    if (this.#state !== 'open') {
      this.#held += text;
      return;
    }
    if (!this.#res.write(text) && !this.#res.destroyed) return (this.#room ??= this.#roomToWrite());
  }

  end(): void {
    if (this.#state === 'ended') return;
    const before = this.#state;
    this.#state = 'ended';
    if (before === 'opening') this.#sendWhole();
    else if (before === 'open') this.#res.end();
    if (before !== 'held') this.#oncomplete?.();
  }

  #sendWhole(): void {
    if (this.#isTaken()) return;
    const { status, headers } = this.#head!;
    const length = Buffer.byteLength(this.#held);
    this.#res.writeHead(status, { ...headers, 'content-length': length });
    this.#res.end(firstChunk(this.#held, length), 'latin1');
  }

  #stream(): void {
    if (this.#state !== 'opening') return;
    if (this.#isTaken()) return this.#gone();
    const { status, headers } = this.#head!;
    this.#res.writeHead(status, headers);
    this.#res.on('close', () => this.#gone());
    this.#state = 'open';
    if (this.#held === '') this.#res.flushHeaders();
    else this.#res.write(firstChunk(this.#held, Buffer.byteLength(this.#held)), 'latin1');
    this.#held = '';
    this.onopen?.();
  }

  /** The client may have left before there was anything to listen on, or a time-out middleware has answered. */
  #isTaken(): boolean {
    return this.#res.destroyed || this.#res.headersSent;
  }

  #gone(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.ongone?.();
    this.#oncomplete?.();
  }

  #roomToWrite(): Promise<void> {
    const res = this.#res;
    return new Promise(resolve => {
      const done = (): void => {
        res.off('drain', done).off('close', done);
        this.#room = undefined;
        resolve();
      };
      res.on('drain', done).on('close', done);
    });
  }
}

/**
 * What to write first, as Latin-1: Node sends the headers in the encoding of a first chunk that is text, and
 * those of HTTP are Latin-1. A text that is as long in UTF-8 as in characters is ASCII, and the same in both.
 */
export function firstChunk(text: string, utf8Length: number): string | Buffer {
  return utf8Length === text.length ? text : Buffer.from(text);
}
