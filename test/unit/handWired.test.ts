import { InMemorySessionStore, WebStandardStreamableHTTPServerTransport } from 'mcp-sdk-anypod/server';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';

const clientInfo = { name: 'unit', version: '1' };
const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params };

function post(body: unknown, sessionId?: string): Request {
  const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' });
  if (sessionId !== undefined) headers.set('mcp-session-id', sessionId);
  return new Request('http://localhost/mcp', { method: 'POST', headers, body: JSON.stringify(body) });
}

/** A transport with a server that answers everything, and what that server was told. */
function connect(sessionStore: InMemorySessionStore) {
  const transport = new WebStandardStreamableHTTPServerTransport({ sessionStore, enableJsonResponse: true });
  const seen: JSONRPCMessage[] = [];
  transport.onmessage = message => {
    seen.push(message);
    if (!('method' in message) || !('id' in message)) return;
    const result = message.method === 'initialize' ? { protocolVersion: params.protocolVersion } : {};
    void transport.send({ jsonrpc: '2.0', id: message.id, result });
  };
  return { transport, seen };
}

test('a transport that opens a session while a request names another serves one of them', async () => {
  const sessionStore = new InMemorySessionStore();
  const older = await connect(sessionStore).transport.handleRequest(post(initialize));
  const { transport, seen } = connect(sessionStore);

  let goOn = (): void => {};
  const blocked = new Promise<void>(resolve => (goOn = resolve));
  const store = sessionStore.storeSession.bind(sessionStore);
  sessionStore.storeSession = (...args) => blocked.then(() => store(...args));
  const opening = transport.handleRequest(post(initialize));
  // The store has been asked to keep the new session.
  await new Promise(setImmediate);
  const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
  const other = await transport.handleRequest(post(ping, older.headers.get('mcp-session-id')!));
  goOn();
  const opened = await opening;
  expect([opened.status, other.status]).toEqual([200, 404]);
  expect(transport.sessionId).toBe(opened.headers.get('mcp-session-id'));
  expect(seen).toEqual([initialize]);
});

test('questions that cannot be sent do not count as waiting for the client', async () => {
  const { transport } = connect(new InMemorySessionStore());
  await transport.handleRequest(post(initialize));
  for (let id = 0; id <= 10_000; id++) {
    const sent = transport.send({ jsonrpc: '2.0', id, method: 'ping' }, { relatedRequestId: 'unknown' });
    await expect(sent).rejects.toThrow('No connection established');
  }
});
