import {
  createMcpHandler,
  InMemoryEventStore,
  InMemorySessionStore,
  WebStandardStreamableHTTPServerTransport
} from 'mcp-sdk-anypod/server';
import type { StreamableHTTPServerTransportOptions } from 'mcp-sdk-anypod/server/streamableHttp.js';
import { Server } from 'mcp-sdk-upstream/server/index.js';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';
import { until } from '../support/until.js';
import { useGlobalTimers } from '../support/useGlobalTimers.js';

const clientInfo = { name: 'unit', version: '1' };
const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params };
const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };

function post(body: unknown, sessionId?: string): Request {
  const headers = new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' });
  if (sessionId !== undefined) headers.set('mcp-session-id', sessionId);
  return new Request('http://localhost/mcp', { method: 'POST', headers, body: JSON.stringify(body) });
}

function get(sessionId: string, lastEventId?: string): Request {
  const headers = new Headers({ accept: 'text/event-stream', 'mcp-session-id': sessionId });
  if (lastEventId !== undefined) headers.set('last-event-id', lastEventId);
  return new Request('http://localhost/mcp', { headers });
}

/** A stream as it is read. */
function reading(response: Response) {
  const read = { text: '' };
  const collected = response.body!.pipeThrough(new TextDecoderStream()).pipeTo(
    new WritableStream({
      write: text => void (read.text += text)
    })
  );
  collected.catch(() => {});
  return read;
}

/** A transport with a server that answers everything but what is to wait, and what that server was told. */
function connect(sessionStore: InMemorySessionStore, options: StreamableHTTPServerTransportOptions = {}) {
  const transport = new WebStandardStreamableHTTPServerTransport({
    sessionStore,
    enableJsonResponse: true,
    ...options
  });
  const seen: JSONRPCMessage[] = [];
  transport.onmessage = message => {
    seen.push(message);
    if (!('method' in message) || !('id' in message) || message.method === 'wait') return;
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
  const other = await transport.handleRequest(post(ping, older.headers.get('mcp-session-id')!));
  goOn();
  const opened = await opening;
  expect([opened.status, other.status]).toEqual([200, 404]);
  expect(transport.sessionId).toBe(opened.headers.get('mcp-session-id'));
  expect(seen).toEqual([initialize]);
});

describe('a session that could not be opened is not in the store', () => {
  async function open(onsessioninitialized: (transport: WebStandardStreamableHTTPServerTransport) => unknown) {
    const sessionStore = new InMemorySessionStore();
    let created = '';
    const { transport, seen } = connect(sessionStore, {
      onsessioninitialized: async sessionId => {
        created = sessionId;
        await onsessioninitialized(transport);
      }
    });
    const onclose = jest.fn();
    transport.onclose = onclose;
    const { status } = await transport.handleRequest(post(initialize));
    expect(seen).toEqual([]);
    expect(onclose).toHaveBeenCalledTimes(1);
    expect(await sessionStore.sessionExists(created)).toBe(false);
    return status;
  }

  test('a session is not stored if onsessioninitialized throws', async () => {
    expect(await open(() => Promise.reject(new Error('not you')))).toBe(400);
  });

  test('a session is not stored if the transport closes while it opens', async () => {
    expect(await open(transport => transport.close())).toBe(404);
  });
});

describe('a transport that is closed while its session is still in the store answers 503', () => {
  async function expectNotNow(answer: Response, sessionStore: InMemorySessionStore, sessionId: string) {
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    const message = 'Service Unavailable: The session is closed on this pod';
    expect(await answer.json()).toMatchObject({ error: { code: -32000, message } });
    expect(await connect(sessionStore).transport.handleRequest(post(ping, sessionId))).toMatchObject({ status: 200 });
  }
  async function open(options: StreamableHTTPServerTransportOptions = {}) {
    const sessionStore = new InMemorySessionStore();
    const connected = connect(sessionStore, options);
    const opened = await connected.transport.handleRequest(post(initialize));
    return { ...connected, sessionStore, sessionId: opened.headers.get('mcp-session-id')! };
  }

  test('a request after the close gets 503', async () => {
    const { transport, sessionStore, sessionId } = await open();
    await transport.close();
    await expectNotNow(await transport.handleRequest(post(ping, sessionId)), sessionStore, sessionId);
  });

  test('a request that was in progress at the close gets 503', async () => {
    const { transport, sessionStore, sessionId } = await open();
    const touch = sessionStore.touchSession.bind(sessionStore);
    sessionStore.touchSession = async (...args) => {
      sessionStore.touchSession = touch;
      await transport.close();
      return touch(...args);
    };
    await expectNotNow(await transport.handleRequest(post(ping, sessionId)), sessionStore, sessionId);
  });

  test('a request that waits for a JSON answer at the close gets 503', async () => {
    const { transport, seen, sessionStore, sessionId } = await open();
    const { onmessage } = transport;
    transport.onmessage = message => void seen.push(message);
    const answer = transport.handleRequest(post(ping, sessionId));
    await until('the server has it', () => seen.length === 2);
    transport.onmessage = onmessage;
    await transport.close();
    await expectNotNow(await answer, sessionStore, sessionId);
  });

  test('a request after the session has left the store gets 404', async () => {
    const { transport, sessionId } = await open();
    await transport.terminateSession();
    expect((await transport.handleRequest(post(ping, sessionId))).status).toBe(404);
  });
});

const secret = new Error('postgres://user:secret@host');
const fail = () => {
  throw secret;
};

test('an error thrown by onsessionrecovered is reported, and the session is served', async () => {
  const sessionStore = new InMemorySessionStore();
  const opened = await connect(sessionStore).transport.handleRequest(post(initialize));
  const { transport } = connect(sessionStore, { onsessionrecovered: fail });
  const errors: Error[] = [];
  transport.onerror = error => errors.push(error);
  for (let i = 0; i < 2; i++) {
    const answer = await transport.handleRequest(post(ping, opened.headers.get('mcp-session-id')!));
    expect([answer.status, await answer.json()]).toEqual([200, { jsonrpc: '2.0', id: 1, result: {} }]);
  }
  expect(errors).toEqual([secret]);
});

test('an error thrown by principalOf is reported, and the client gets an error without details', async () => {
  const sessionStore = new InMemorySessionStore();
  const opened = await connect(sessionStore).transport.handleRequest(post(initialize));
  const { transport, seen } = connect(sessionStore, { principalOf: fail });
  const errors: Error[] = [];
  transport.onerror = error => errors.push(error);
  const authInfo = { token: 't', clientId: 'c', scopes: [] };
  for (const request of [post(initialize), post(ping, opened.headers.get('mcp-session-id')!)]) {
    const answer = await transport.handleRequest(request, { authInfo });
    const error = { code: -32603, message: 'Internal error' };
    expect([answer.status, await answer.json()]).toEqual([500, { jsonrpc: '2.0', error, id: null }]);
  }
  expect(errors).toEqual([secret, secret]);
  expect(seen).toEqual([]);
  expect((await transport.handleRequest(post(initialize))).status).toBe(200);
});

test('requests to the client that cannot be sent do not keep the session from being idle', async () => {
  const { transport } = connect(new InMemorySessionStore());
  await transport.handleRequest(post(initialize));
  for (let id = 0; id <= 10_000; id++) {
    const sent = transport.send({ jsonrpc: '2.0', id, method: 'ping' }, { relatedRequestId: 'unknown' });
    await expect(sent).rejects.toThrow('No connection established');
  }
});

test("transports still receive each other's messages after a handler on the same store is closed", async () => {
  const sessionStore = new InMemorySessionStore();
  const handler = createMcpHandler(() => new Server({ name: 'unit', version: '1' }), { sessionStore });
  const make = () => connect(sessionStore, { enableJsonResponse: false }).transport;
  const [here, there] = [make(), make()];
  const opened = await here.handleRequest(post(initialize));
  const stream = reading(await there.handleRequest(get(opened.headers.get('mcp-session-id')!)));
  await handler.close();
  await here.send({ jsonrpc: '2.0', method: 'notifications/x' });
  await until('it has arrived', () => stream.text.includes('notifications/x'), 1000);
});

describe('a server message that no schema accepts reaches a client of another pod unchanged', () => {
  const odd = { jsonrpc: '2.0', id: 1, result: 'no object' } as unknown as JSONRPCMessage;

  async function connectTwo(options: StreamableHTTPServerTransportOptions) {
    const sessionStore = new InMemorySessionStore();
    const make = () => connect(sessionStore, { enableJsonResponse: false, ...options }).transport;
    const [here, there] = [make(), make()];
    const errors: string[] = [];
    there.onerror = error => errors.push(error.message);
    const opened = await here.handleRequest(post(initialize));
    return { here, there, errors, sessionId: opened.headers.get('mcp-session-id')! };
  }

  test('on its GET stream', async () => {
    const { here, there, errors, sessionId } = await connectTwo({});
    const stream = reading(await there.handleRequest(get(sessionId)));
    const notification = { jsonrpc: '2.0', method: 'notifications/x', of: 'the application' } as JSONRPCMessage;
    await here.send(notification);
    await until('it has arrived', () => stream.text.includes(JSON.stringify(notification)) || errors.length > 0);
    expect(errors).toEqual([]);
  });

  test('on the stream of its request', async () => {
    const { here, there, errors, sessionId } = await connectTwo({ eventStore: new InMemoryEventStore() });
    const batch = [1, 2].map(id => ({ jsonrpc: '2.0', id, method: 'wait' }));
    const asked = reading(await here.handleRequest(post(batch, sessionId)));
    await here.send({ jsonrpc: '2.0', method: 'notifications/x' }, { relatedRequestId: 1 });
    const cursor = await until('there is a cursor', () => /id: (.*)/.exec(asked.text)?.[1]);
    const resumed = reading(await there.handleRequest(get(sessionId, cursor)));
    await here.send(odd);
    await until('it has arrived', () => resumed.text.includes(JSON.stringify(odd)) || errors.length > 0);
    expect(errors).toEqual([]);
  });
});

test('a DELETE of a missing session closes it on other pods and does not bind the transport', async () => {
  const sessionStore = new InMemorySessionStore();
  const [one, two, three] = [connect(sessionStore), connect(sessionStore), connect(sessionStore)];
  const opened = await one.transport.handleRequest(post(initialize));
  const sessionId = opened.headers.get('mcp-session-id')!;
  const ask = (method: string) =>
    new Request('http://localhost/mcp', {
      method,
      headers: { accept: 'text/event-stream', 'mcp-session-id': sessionId }
    });
  const stream = await two.transport.handleRequest(ask('GET'));
  await sessionStore.deleteSession(sessionId);
  expect((await three.transport.handleRequest(ask('DELETE'))).status).toBe(404);
  expect(await stream.text()).toBe('');
  expect((await three.transport.handleRequest(post(initialize))).status).toBe(200);
});

test.each([
  ['an hour', 3600],
  ['longer than a timer can run', 90 * 86_400]
])(
  'the store is asked every 20 seconds for a session with a stream, also where it lives for %s',
  async (_how, ttlSeconds) => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance'] });
    const restoreTimers = useGlobalTimers();
    const sessionStore = new InMemorySessionStore({ ttlSeconds });
    const { transport } = connect(sessionStore);
    try {
      const opened = await transport.handleRequest(post(initialize));
      const headers = { accept: 'text/event-stream', 'mcp-session-id': opened.headers.get('mcp-session-id')! };
      await transport.handleRequest(new Request('http://localhost/mcp', { headers }));
      let looks = 0;
      const touch = sessionStore.touchSession.bind(sessionStore);
      sessionStore.touchSession = (...args) => {
        looks++;
        return touch(...args);
      };
      for (const expected of [1, 2]) {
        await jest.advanceTimersByTimeAsync(20_000);
        expect(looks).toBe(expected);
      }
    } finally {
      await transport.close();
      restoreTimers();
      jest.useRealTimers();
    }
  }
);
