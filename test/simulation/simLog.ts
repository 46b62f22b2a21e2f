import { EventCursorError } from 'mcp-sdk-anypod';
import type { FollowableEventStore } from 'mcp-sdk-anypod';
import type { JSONRPCMessage } from 'mcp-sdk-anypod/types.js';
import { copyOf } from './simStore.js';

interface LoggedEvent {
  readonly number: number;
  readonly message: JSONRPCMessage;
}

/** The simulated event log, which all pods share. As in Redis, no event id is given twice, whatever was lost before. */
export class SimLog implements Required<
  Pick<FollowableEventStore, 'storeLastEvent' | 'storeOnlyEvent' | 'startEventId' | 'latestEventId' | 'deleteStreams'>
> {
  readonly #streams = new Map<string, LoggedEvent[]>();
  readonly #completed = new Set<string>();
  /** The streams of which events were removed because there were too many. */
  readonly #trimmed = new Set<string>();
  /** Events kept per stream. Above that, the oldest are removed. */
  readonly #keeps: number;
  #last = 0;

  constructor(keeps = 1000) {
    this.#keeps = keeps;
  }

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    this.#completed.delete(streamId);
    return this.#append(streamId, message);
  }

  async storeLastEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    this.#completed.add(streamId);
    return this.#append(streamId, message);
  }

  /** Stricter than the port: a stream that has another event is an error. */
  async storeOnlyEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    const [stored] = this.#streams.get(streamId) ?? [];
    if (!stored) return this.storeLastEvent(streamId, message);
    if (JSON.stringify(stored.message) === JSON.stringify(message)) return `${streamId}@${stored.number}`;
    throw new Error('storeOnlyEvent of a stream that has an event');
  }

  startEventId(streamId: string): string {
    return `${streamId}@0`;
  }

  async deleteStreams(sessionId: string, streamIds: readonly string[]): Promise<void> {
    for (const streamId of this.#streams.keys()) {
      const isOfSession = streamId.slice(0, streamId.lastIndexOf(':')) === sessionId;
      if (streamIds.includes(streamId) || (isOfSession && this.#completed.has(streamId))) {
        this.#streams.delete(streamId);
        this.#trimmed.delete(streamId);
      }
    }
  }

  async latestEventId(streamId: string): Promise<string | null> {
    const last = this.#streams.get(streamId)?.at(-1);
    return last ? `${streamId}@${last.number}` : null;
  }

  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    return this.#find(eventId)?.streamId;
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> }
  ): Promise<string> {
    const found = this.#find(lastEventId);
    if (!found) throw new EventCursorError('The event that the client saw last is not in the log');
    for (const { number, message } of found.later) {
      if ('jsonrpc' in message) await send(`${found.streamId}@${number}`, copyOf(message));
    }
    return found.streamId;
  }

  /** What the log had is gone: it expired, was trimmed, or a failover lost it. */
  lose(): void {
    this.#streams.clear();
    this.#trimmed.clear();
  }

  #append(streamId: string, message: JSONRPCMessage): string {
    const events = this.#streams.get(streamId) ?? [];
    this.#streams.set(streamId, events);
    events.push({ number: ++this.#last, message: copyOf(message) });
    if (events.length > this.#keeps) {
      events.shift();
      this.#trimmed.add(streamId);
    }
    return `${streamId}@${this.#last}`;
  }

  #find(eventId: string): { streamId: string; later: LoggedEvent[] } | undefined {
    const at = eventId.lastIndexOf('@');
    const streamId = eventId.slice(0, at);
    const events = this.#streams.get(streamId);
    // A stream without events has nothing to replay.
    if (eventId === this.startEventId(streamId))
      return this.#trimmed.has(streamId) ? undefined : { streamId, later: [...(events ?? [])] };
    const index = events?.findIndex(({ number }) => String(number) === eventId.slice(at + 1)) ?? -1;
    return index < 0 ? undefined : { streamId, later: events!.slice(index + 1) };
  }
}
