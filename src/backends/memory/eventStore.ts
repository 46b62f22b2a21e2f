import type { JSONRPCMessage } from '../../sdkTypes.js';
import { EventCursorError } from '../../errors.js';
import { type FollowableEventStore, partsOfStreamId } from '../../ports/eventStore.js';
import { checkNumber, checkOptionsObject } from '../../validate.js';
import { Date } from '../../timers.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** The options of an {@link InMemoryEventStore}. */
export interface InMemoryEventStoreOptions {
  /** Events kept per stream. Above that, the oldest are removed. @default 1000 */
  maxEventsPerStream?: number;
  /** Streams kept. Above that, the least recently written is removed, complete ones first. @default 10000 */
  maxStreams?: number;
  /** Seconds that a stream is kept after its last event. @default 3600 */
  ttlSeconds?: number;
  /** Seconds that the stream of a POST is kept after its last answer; at most `ttlSeconds`. @default 300 */
  answeredTtlSeconds?: number;
}

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof InMemoryEventStoreOptions, true>> = {
  maxEventsPerStream: true,
  maxStreams: true,
  ttlSeconds: true,
  answeredTtlSeconds: true
};

interface Log {
  /** The number of the first kept event. */
  first: number;
  messages: JSONRPCMessage[];
  expiresAt: number;
}

const EMPTY: Log = { first: 1, messages: [], expiresAt: 0 };

/** Events of the streams of one process: for a single pod, and for pods that share a process. */
export class InMemoryEventStore implements FollowableEventStore {
  readonly #maxEvents: number;
  readonly #maxStreams: number;
  readonly #ttlMs: number;
  readonly #answeredTtlMs: number;
  /** Each is in the order of the last write, and so of expiry. */
  readonly #open = new Map<string, Log>();
  readonly #complete = new Map<string, Log>();

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: InMemoryEventStoreOptions = {}) {
    keepSelf(this);
    checkOptionsObject('options', options, OPTION_NAMES);
    checkNumber('maxEventsPerStream', options.maxEventsPerStream, { min: 1, integer: true });
    checkNumber('maxStreams', options.maxStreams, { min: 1, integer: true });
    checkNumber('ttlSeconds', options.ttlSeconds, { min: 1 });
    checkNumber('answeredTtlSeconds', options.answeredTtlSeconds, { min: 1 });
    this.#maxEvents = options.maxEventsPerStream ?? 1000;
    this.#maxStreams = options.maxStreams ?? 10_000;
    this.#ttlMs = (options.ttlSeconds ?? 3600) * 1000;
    this.#answeredTtlMs = Math.min((options.answeredTtlSeconds ?? 300) * 1000, this.#ttlMs);
  }

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return this.#append(streamId, message, this.#open, this.#ttlMs);
  }

  /** Marks the stream as complete: it is kept for `answeredTtlSeconds`. */
  async storeLastEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return this.#append(streamId, message, this.#complete, this.#answeredTtlMs);
  }

  startEventId(streamId: string): string {
    return `${streamId}@0`;
  }

  /** Removes all streams of the session. */
  async deleteStreams(sessionId: string): Promise<void> {
    for (const logs of [this.#open, this.#complete]) {
      for (const streamId of logs.keys()) {
        if (partsOfStreamId(streamId).sessionId === sessionId) logs.delete(streamId);
      }
    }
  }

  #append(streamId: string, message: JSONRPCMessage, logs: Map<string, Log>, ttlMs: number): string {
    this.#sweep();
    const log = this.#logOf(streamId) ?? { first: 1, messages: [], expiresAt: 0 };
    log.messages.push(structuredClone(message));
    if (log.messages.length > this.#maxEvents) {
      log.messages.shift();
      log.first++;
    }
    log.expiresAt = Date.now() + ttlMs;
    this.#open.delete(streamId);
    this.#complete.delete(streamId);
    logs.set(streamId, log);
    return `${streamId}@${log.first + log.messages.length - 1}`;
  }

  async latestEventId(streamId: string): Promise<string | null> {
    this.#sweep();
    const log = this.#logOf(streamId);
    return log ? `${streamId}@${log.first + log.messages.length - 1}` : null;
  }

  /** The stream of a kept event, or of a `startEventId`; undefined for every other id. */
  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    return this.#find(eventId)?.streamId;
  }

  /** @throws EventCursorError if the event is not kept: later events may be gone too */
  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> }
  ): Promise<string> {
    const found = this.#find(lastEventId);
    if (!found) throw new EventCursorError('The event that the client saw last is not in the log');
    const { streamId, log, number } = found;
    const messages = log.messages.slice(number + 1 - log.first);
    for (const [index, message] of messages.entries()) {
      if (isMessage(message)) await send(`${streamId}@${number + 1 + index}`, structuredClone(message));
    }
    return streamId;
  }

  #find(eventId: string): { streamId: string; log: Log; number: number } | undefined {
    this.#sweep();
    const at = eventId.lastIndexOf('@');
    const streamId = eventId.slice(0, at);
    const number = /^(0|[1-9]\d*)$/.test(eventId.slice(at + 1)) ? Number(eventId.slice(at + 1)) : -1;
    const log = this.#logOf(streamId) ?? (number === 0 ? EMPTY : undefined);
    // Zero is the start of a stream: nothing was removed if the first event is kept.
    const oldest = log?.first === 1 ? 0 : log?.first;
    if (at < 0 || !log || number < oldest! || number >= log.first + log.messages.length) return undefined;
    return { streamId, log, number };
  }

  #logOf(streamId: string): Log | undefined {
    return this.#open.get(streamId) ?? this.#complete.get(streamId);
  }

  /** Also removes streams above the limit, complete ones first. */
  #sweep(): void {
    for (const logs of [this.#complete, this.#open]) {
      for (const [streamId, log] of logs) {
        if (log.expiresAt > Date.now() && this.#open.size + this.#complete.size <= this.#maxStreams) break;
        logs.delete(streamId);
      }
    }
  }
}

/** A priming event has an id and no message: it is a cursor to resume from, and is not replayed. */
export function isMessage(message: JSONRPCMessage): boolean {
  return 'jsonrpc' in message;
}
