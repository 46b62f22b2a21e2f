import { unref } from '../../deadline.js';
import type { JSONRPCMessage } from '../../sdkTypes.js';
import { clearTimeout, performance, setTimeout } from '../../timers.js';

/** How long a message waits for the client's standalone stream to open somewhere. */
const HOLD_MS = 5000;
/** Maximum number of messages that wait for one session. Beyond it, the oldest is dropped. */
const MAX_MESSAGES = 100;
const MAX_BYTES = 1024 * 1024;
/** Maximum size of all messages that wait in this process. */
const MAX_BYTES_OF_ALL = 64 * 1024 * 1024;

let bytesOfAll = 0;

/** A message for the standalone stream that no pod has acknowledged yet. */
export interface UnacknowledgedMessage {
  /** Its number, counted by its sender. */
  readonly seq: number;
  readonly message: JSONRPCMessage;
  /** Its id in the event log, if it has been logged. */
  eventId: string | undefined;
  readonly bytes: number;
  /** By `performance.now()`. */
  readonly sentAt: number;
}

/**
 * Messages of this pod's server for the standalone stream, until a pod acknowledges that it has written them. A client
 * opens its stream and makes its first call at the same time, so the server may send a message before any pod holds the
 * stream.
 */
export class UnacknowledgedMessages {
  /** Oldest first. */
  #messages: UnacknowledgedMessage[] = [];
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  add(seq: number, message: JSONRPCMessage, eventId: string | undefined): void {
    const bytes = JSON.stringify(message).length;
    if (bytes > MAX_BYTES || bytesOfAll + bytes > MAX_BYTES_OF_ALL) return;
    this.#messages.push({ seq, message, eventId, bytes, sentAt: performance.now() });
    this.#count(bytes);
    while (this.#messages.length > MAX_MESSAGES || this.#bytes > MAX_BYTES) this.#drop(this.#messages.shift()!);
    this.#timer ??= this.#expireIn(HOLD_MS);
  }

  storedLate(message: JSONRPCMessage, eventId: string): void {
    const waiting = this.#messages.find(known => known.message === message);
    if (waiting) waiting.eventId = eventId;
  }

  /** Forgets the messages with these numbers. */
  remove(seqs: readonly number[]): void {
    this.#keep(({ seq }) => !seqs.includes(seq));
  }

  /** The messages that still wait, oldest first. */
  get waiting(): readonly UnacknowledgedMessage[] {
    return this.#messages;
  }

  clear(): void {
    this.#keep(() => false);
  }

  #keep(isKept: (message: UnacknowledgedMessage) => boolean): void {
    const all = this.#messages;
    this.#messages = all.filter(isKept);
    for (const message of all) if (!isKept(message)) this.#drop(message);
    if (this.#messages.length > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #drop({ bytes }: UnacknowledgedMessage): void {
    this.#count(-bytes);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    bytesOfAll += bytes;
  }

  #expireIn(ms: number): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      const now = performance.now();
      this.#keep(({ sentAt }) => sentAt + HOLD_MS > now);
      const [oldest] = this.#messages;
      this.#timer = oldest && this.#expireIn(Math.max(1, oldest.sentAt + HOLD_MS - now));
    }, ms);
    unref(timer);
    return timer;
  }
}
