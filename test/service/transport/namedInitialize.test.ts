import { InMemorySessionStore, WebStandardStreamableHTTPServerTransport } from 'mcp-sdk-anypod/server';
import { stopAfterTest } from '../../support/stopAfterTest.js';

const sessionStore = new InMemorySessionStore();
let sessions = 0;

/** A transport that is wired by hand, as on a pod that serves no session yet. */
function newTransport(store = sessionStore): WebStandardStreamableHTTPServerTransport {
  const sessionIdGenerator = () => `session-${++sessions}`;
  const transport = new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator, sessionStore: store });
  stopAfterTest(() => transport.close());
  transport.onmessage = message => {
    if ('id' in message && 'method' in message) void transport.send({ jsonrpc: '2.0', id: message.id, result: {} });
  };
  return transport;
}

async function initialize(transport: WebStandardStreamableHTTPServerTransport, named?: string) {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
  const response = await transport.handleRequest(
    new Request('http://mcp.test/', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(named !== undefined && { 'mcp-session-id': named })
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })
    })
  );
  return { status: response.status, sessionId: response.headers.get('mcp-session-id'), text: await response.text() };
}

test('an initialize that names a session of another pod is answered 400, and opens none', async () => {
  const { sessionId } = await initialize(newTransport());
  const other = newTransport();
  const before = sessions;
  const answer = await initialize(other, sessionId!);
  expect([answer.status, answer.sessionId, sessions]).toEqual([400, null, before]);
  expect(answer.text).toContain('Invalid Request: Server already initialized');
  expect(other.sessionId).toBeUndefined();
});

test.each(['session-that-has-ended', 'no form of an id'])(
  'an initialize that names no live session (%s) opens a new one',
  async named => {
    const { status, sessionId } = await initialize(newTransport(), named);
    expect([status, sessionId]).toEqual([200, `session-${sessions}`]);
  }
);

test('an initialize that names a session is answered 503 while the store is down', async () => {
  const down = new InMemorySessionStore();
  down.touchSession = () => Promise.reject(new Error('down'));
  down.getSessionOwner = () => Promise.reject(new Error('down'));
  expect((await initialize(newTransport(down), 'session-1')).status).toBe(503);
});
