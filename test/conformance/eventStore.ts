import type { EventStore } from 'mcp-sdk-upstream/server/streamableHttp.js';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';

/** The events of one pod, in this process's memory and for as long as it runs: an event's id is its place. */
export class ProcessEventStore implements EventStore {
  readonly #events: { streamId: string; message: JSONRPCMessage }[] = [];

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return String(this.#events.push({ streamId, message }) - 1);
  }

  async getStreamIdForEventId(eventId: string): Promise<string | undefined> {
    return this.#events[Number(eventId)]?.streamId;
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> }
  ): Promise<string> {
    const last = Number(lastEventId);
    const streamId = this.#events[last]?.streamId;
    if (streamId === undefined) throw new Error(`no event ${lastEventId}`);
    for (const [place, event] of this.#events.entries()) {
      const isPriming = Object.keys(event.message).length === 0;
      if (place > last && event.streamId === streamId && !isPriming) await send(String(place), event.message);
    }
    return streamId;
  }
}
