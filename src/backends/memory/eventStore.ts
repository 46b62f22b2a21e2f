import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { EventCursorError } from '../../errors.js';
import type { FollowableEventStore } from '../../ports/eventStore.js';
import { checkNumber, checkOptionsObject } from '../../validate.js';
import { Date } from '../../timers.js';

export interface InMemoryEventStoreOptions {
  /** Events kept of a stream at most; over it the oldest go. @default 1000 */
  maxEventsPerStream?: number;
  /** Streams kept at most; over it the one that was written to longest ago goes. @default 10000 */
  maxStreams?: number;
  /** Seconds that a stream is kept after its last event. @default 3600 */
  ttlSeconds?: number;
}

interface Log {
  /** The number of the first event that is kept. */
  first: number;
  messages: JSONRPCMessage[];
  expiresAt: number;
}

/** Events of the streams of one process: for a single pod, and for pods that share a process. */
export class InMemoryEventStore implements FollowableEventStore {
  readonly #maxEvents: number;
  readonly #maxStreams: number;
  readonly #ttlMs: number;
  /** In order of the last write. */
  readonly #logs = new Map<string, Log>();

  /** @throws InvalidOptionError */
  constructor(options: InMemoryEventStoreOptions = {}) {
    checkOptionsObject('options', options);
    checkNumber('maxEventsPerStream', options.maxEventsPerStream, { min: 1, integer: true });
    checkNumber('maxStreams', options.maxStreams, { min: 1, integer: true });
    checkNumber('ttlSeconds', options.ttlSeconds, { min: 1 });
    this.#maxEvents = options.maxEventsPerStream ?? 1000;
    this.#maxStreams = options.maxStreams ?? 10_000;
    this.#ttlMs = (options.ttlSeconds ?? 3600) * 1000;
  }

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    this.#sweep();
    const log = this.#logs.get(streamId) ?? { first: 1, messages: [], expiresAt: 0 };
    log.messages.push(structuredClone(message));
    if (log.messages.length > this.#maxEvents) {
      log.messages.shift();
      log.first++;
    }
    log.expiresAt = Date.now() + this.#ttlMs;
    this.#logs.delete(streamId);
    this.#logs.set(streamId, log);
    return `${streamId}@${log.first + log.messages.length - 1}`;
  }

  async latestEventId(streamId: string): Promise<string | null> {
    this.#sweep();
    const log = this.#logs.get(streamId);
    return log ? `${streamId}@${log.first + log.messages.length - 1}` : null;
  }

  /** The stream of an event that is kept; undefined for every other id. */
  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    return this.#find(eventId)?.streamId;
  }

  /** @throws EventCursorError where the event is not kept: what followed it may be gone too */
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
    const log = this.#logs.get(streamId);
    const number = /^\d+$/.test(eventId.slice(at + 1)) ? Number(eventId.slice(at + 1)) : 0;
    if (at < 0 || !log || number < log.first || number >= log.first + log.messages.length) return undefined;
    return { streamId, log, number };
  }

  #sweep(): void {
    for (const [streamId, log] of this.#logs) {
      if (log.expiresAt > Date.now() && this.#logs.size <= this.#maxStreams) break;
      this.#logs.delete(streamId);
    }
  }
}

/** A priming event has an id and no message: a cursor to resume from, and nothing to replay. */
export function isMessage(message: JSONRPCMessage): boolean {
  return 'jsonrpc' in message;
}
