import type { EventStore } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { InMemorySessionStore, WebStandardStreamableHTTPServerTransport } from 'mcp-sdk-anypod/server';
import { stopAfterTest } from '../../support/stopAfterTest.js';

/** An event store without the optional methods of the SDK's interface. */
class MinimalEventStore implements EventStore {
  readonly #events: { streamId: string; message: JSONRPCMessage }[] = [];
  /** Runs in the middle of the next replay. */
  onreplay: () => Promise<void> = async () => {};

  async storeEvent(streamId: string, message: JSONRPCMessage): Promise<string> {
    return String(this.#events.push({ streamId, message }) - 1);
  }

  async replayEventsAfter(
    lastEventId: string,
    { send }: { send: (eventId: string, message: JSONRPCMessage) => Promise<void> }
  ): Promise<string> {
    await this.onreplay();
    const { streamId } = this.#events[Number(lastEventId)]!;
    for (const [id, event] of this.#events.entries()) {
      if (id > Number(lastEventId) && event.streamId === streamId) await send(String(id), event.message);
    }
    return streamId;
  }
}

/** A session in which a call has been answered, and the first event id of the answer's stream. */
async function callOnce(external: boolean) {
  const eventStore = new MinimalEventStore();
  const sessionStore = external ? new InMemorySessionStore() : undefined;
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: () => 'a-session',
    sessionStore,
    eventStore
  });
  stopAfterTest(() => transport.close());
  transport.onmessage = message => {
    if ('id' in message && 'method' in message) {
      void transport.send({ jsonrpc: '2.0', id: message.id, result: { answered: message.method } });
    }
  };
  const fetch = async (method: string, headers: Record<string, string>, body?: unknown) =>
    transport.handleRequest(
      new Request('http://mcp.test/', {
        method,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          'mcp-protocol-version': '2025-11-25',
          ...headers
        },
        body: body === undefined ? undefined : JSON.stringify(body)
      })
    );
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
  await (await fetch('POST', {}, { jsonrpc: '2.0', id: 'init', method: 'initialize', params })).text();
  const session = { 'mcp-session-id': 'a-session' };
  const answered = await fetch('POST', session, { jsonrpc: '2.0', id: 1, method: 'test/call' });
  const [, cursor] = /^id: (.+)$/m.exec(await answered.text())!;
  const resume = () => fetch('GET', { ...session, 'last-event-id': cursor! });
  return { transport, eventStore, resume };
}

test('a client resumes an answered request and gets the answer, if the event store cannot name the stream of an event', async () => {
  const { resume } = await callOnce(true);
  const resumed = await resume();
  expect(resumed.status).toBe(200);
  expect(await resumed.text()).toContain('"answered":"test/call"');
});

test.each([
  ['memory', false, 404],
  ['external', true, 503]
] as const)(
  'in %s mode a transport that closes while a minimal event store replays answers the resume with an error',
  async (_mode, external, status) => {
    const { transport, eventStore, resume } = await callOnce(external);
    eventStore.onreplay = () => transport.close();
    expect((await resume()).status).toBe(status);
  }
);
