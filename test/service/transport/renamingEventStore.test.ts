import type { EventStore } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { JSONRPCMessage, JSONRPCRequest } from 'mcp-sdk-upstream/types.js';
import { InMemorySessionStore, WebStandardStreamableHTTPServerTransport } from 'mcp-sdk-anypod/server';
import { stopAfterTest } from '../../support/stopAfterTest.js';

/** An application's event store that keeps each stream under a name of its own, as one that hashes the ids does. */
class RenamingEventStore implements EventStore {
  readonly #names = new Map<string, string>();
  readonly #events: { name: string; message: JSONRPCMessage }[] = [];
  /** Absent in a store with the required methods alone. */
  getStreamIdForEventId?: (eventId: string) => Promise<string | undefined>;

  constructor(knowsStreams: boolean) {
    if (knowsStreams) this.getStreamIdForEventId = async eventId => this.#events[Number(eventId)]?.name;
  }

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    const name = this.#names.get(streamId) ?? `stream-${this.#names.size}`;
    this.#names.set(streamId, name);
    return String(this.#events.push({ name, message }) - 1);
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> }
  ): Promise<string> {
    const { name } = this.#events[Number(lastEventId)]!;
    for (const [id, event] of this.#events.entries()) {
      if (id > Number(lastEventId) && event.name === name) await send(String(id), event.message);
    }
    return name;
  }
}

const jsonHeaders = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2025-11-25'
};

/** A session on a transport of its own; its server answers when the test says so. */
async function openSession(sessionId: string, eventStore: EventStore, external: boolean) {
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => sessionId,
    ...(external && { sessionStore: new InMemorySessionStore() }),
    eventStore
  });
  stopAfterTest(() => transport.close());
  const asked: JSONRPCRequest[] = [];
  transport.onmessage = message => {
    if (!('id' in message && 'method' in message)) return;
    if (message.method === 'initialize') void answer(message);
    else asked.push(message);
  };
  const answer = ({ id, method }: JSONRPCRequest): Promise<void> =>
    transport.send({ jsonrpc: '2.0', id, result: { answered: `${method} of ${sessionId}` } });
  const fetch = (method: string, headers: Record<string, string>, body?: object): Promise<Response> =>
    transport.handleRequest(
      new Request('http://mcp.test/', {
        method,
        headers: { ...jsonHeaders, ...headers },
        body: body === undefined ? null : JSON.stringify(body)
      })
    );
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
  await (await fetch('POST', {}, { jsonrpc: '2.0', id: 'init', method: 'initialize', params })).text();
  const session = { 'mcp-session-id': sessionId };
  /** Calls, reads the cursor that the stream begins with, and leaves. */
  const callAndLeave = async (): Promise<string> => {
    const response = await fetch('POST', session, { jsonrpc: '2.0', id: 1, method: 'test/call' });
    const reader = response.body!.getReader();
    const [, cursor] = /^id: (.+)$/m.exec(new TextDecoder().decode((await reader.read()).value))!;
    await reader.cancel();
    return cursor!;
  };
  const resume = (cursor: string): Promise<Response> => fetch('GET', { ...session, 'last-event-id': cursor });
  return { asked, answer, callAndLeave, resume };
}

describe.each([
  ['memory', false],
  ['external', true]
] as const)('in %s mode, with an event store that renames streams', (_mode, external) => {
  describe.each([
    ['and names the stream of an event', true],
    ['and has the required methods alone', false]
  ] as const)('%s', (_store, knowsStreams) => {
    test('a client that left gets the answer that was given before it came back', async () => {
      const session = await openSession('first', new RenamingEventStore(knowsStreams), external);
      const cursor = await session.callAndLeave();
      await session.answer(session.asked[0]!);
      const resumed = await session.resume(cursor);
      expect(resumed.status).toBe(200);
      const reader = resumed.body!.getReader();
      let text = '';
      while (!text.includes('test/call')) {
        const { done, value } = await reader.read();
        if (done) break;
        text += new TextDecoder().decode(value);
      }
      expect(text).toContain('"answered":"test/call of first"');
      await reader.cancel();
    });

    test('a client cannot resume the stream of another session', async () => {
      const eventStore = new RenamingEventStore(knowsStreams);
      const first = await openSession('first', eventStore, external);
      const second = await openSession('second', eventStore, external);
      await second.callAndLeave();
      const resumed = await second.resume(await first.callAndLeave());
      expect([resumed.status, await resumed.text()]).toEqual([400, expect.not.stringContaining('first')]);
    });
  });
});
