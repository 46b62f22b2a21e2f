import type { EventStore } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import type { ScriptOptions } from './script.js';

/** An event of a stream that belongs to somebody else: the store serves more than this session. */
export const FOREIGN_EVENT = 'foreign-1';
const FOREIGN_STREAM = 'another-session:standalone';

/**
 * Keeps events in memory and what was asked of it. Streams are named by the order of their first event: `s1`,
 * `s2`..., the standalone one `get`; the events of a stream are `s1-1`, `s1-2`..., so that a script knows them.
 */
export class RecordedEventStore implements EventStore {
  /** The stream ids as the transport gave them, by name. */
  readonly streamIds: Record<string, string> = {};
  /** What waits for these has been done, and is told when they have resolved. */
  held: { stores?: Promise<void>; replays?: Promise<void> } = {};
  /** What was stored, by stream. */
  readonly stored: Record<string, JSONRPCMessage[]> = {};
  /** Questions and replays, in order. */
  readonly lookups: string[] = [];
  getStreamIdForEventId?: (eventId: string) => Promise<string | undefined>;
  readonly #kind: NonNullable<ScriptOptions['eventStore']>;
  readonly #onasked: () => void;

  constructor(kind: NonNullable<ScriptOptions['eventStore']>, onasked: () => void) {
    this.#kind = kind;
    this.#onasked = onasked;
    if (kind === 'minimal' || kind === 'lenient') return;
    this.getStreamIdForEventId = async eventId => {
      this.lookups.push(`getStreamIdForEventId ${eventId}`);
      return this.#find(eventId)?.streamId;
    };
  }

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    const name = this.#nameOf(streamId);
    const events = (this.stored[name] ??= []);
    if (this.#kind === 'failing') throw new Error('The event store is down');
    events.push(structuredClone(message));
    if (this.#kind === 'stuck') return new Promise(() => {});
    const eventId = `${name}-${events.length}`;
    this.#onasked();
    await this.held.stores;
    return eventId;
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> }
  ): Promise<string> {
    this.lookups.push(`replayEventsAfter ${lastEventId}`);
    this.#onasked();
    if (this.#kind === 'failingReplay') throw new Error('The event store cannot replay');
    const found = this.#find(lastEventId);
    if (!found && this.#kind === 'minimal') throw new Error('No such event');
    if (!found) return '';
    const secret = { jsonrpc: '2.0' as const, method: 'notifications/secret' };
    const events = found.streamId === FOREIGN_STREAM ? [secret] : this.stored[found.name]!;
    for (let i = found.index; i < events.length; i++) {
      // A priming event is a cursor and no message.
      if (Object.keys(events[i]!).length > 0) await send(`${found.name}-${i + 1}`, events[i]!);
    }
    await this.held.replays;
    return found.streamId;
  }

  #find(eventId: string): { name: string; streamId: string; index: number } | undefined {
    if (eventId === FOREIGN_EVENT) return { name: 'foreign', streamId: FOREIGN_STREAM, index: 0 };
    const [, name = '', index = ''] = /^(.+)-(\d+)$/.exec(eventId) ?? [];
    const streamId = this.streamIds[name];
    return streamId === undefined ? undefined : { name, streamId, index: Number(index) };
  }

  #nameOf(streamId: string): string {
    const known = Object.keys(this.streamIds).find(name => this.streamIds[name] === streamId);
    if (known !== undefined) return known;
    const name = /(_GET_stream|standalone)$/.test(streamId) ? 'get' : `s${this.#requestStreams() + 1}`;
    this.streamIds[name] = streamId;
    return name;
  }

  #requestStreams(): number {
    return Object.keys(this.streamIds).filter(name => name !== 'get').length;
  }
}
