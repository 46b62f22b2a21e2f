import diagnostics from 'node:diagnostics_channel';
import {
  type AnypodChannels,
  type BusEvent,
  createMcpHandler,
  type ExchangeEvent,
  InMemoryEventStore,
  InMemorySessionStore,
  type OnLogEvent,
  type RequestEvent
} from 'mcp-sdk-anypod/server';
import * as sessionIds from '../../src/ports/sessionId.js';
import { replaceTimers } from '../../src/timers.js';
import { AnsweringClient } from '../support/clients/answeringClient.js';
import { RawClient } from '../support/clients/rawClient.js';
import { HEADERS, StreamSession } from '../support/clients/streamSession.js';
import { type LocalPod, startPodForTest } from '../support/pods/localPod.js';
import { stopAfterTest } from '../support/stopAfterTest.js';
import { until } from '../support/until.js';

const { fingerprint } = sessionIds;

/** What a channel carries during a test, each as it was when it was published. */
function hear<N extends keyof AnypodChannels>(name: N): AnypodChannels[N][] {
  const heard: AnypodChannels[N][] = [];
  const listener = (message: unknown) => void heard.push(copied(message as AnypodChannels[N]));
  diagnostics.subscribe(name, listener);
  stopAfterTest(() => diagnostics.unsubscribe(name, listener));
  return heard;
}

function copied<T extends object>(event: T): T {
  return Object.assign(Object.create(Object.getPrototypeOf(event) as object) as T, event);
}

async function twoPods(options: Parameters<typeof startPodForTest>[0] = {}): Promise<[LocalPod, LocalPod]> {
  const shared = { sessionStore: new InMemorySessionStore(), ...options };
  return [await startPodForTest(shared), await startPodForTest(shared)];
}

const echo = (pod: LocalPod, client: RawClient) => client.callTool(pod.url, 'echo', { text: 'x' });

describe('the channel of sessions', () => {
  test('says who was created, recovered and ended, by fingerprint and never by id', async () => {
    const [first, second] = await twoPods();
    const heard = hear('mcp-anypod:session');
    const client = await new RawClient().open(first.url);
    await echo(second, client);
    await client.delete(second.url);
    await until('both pods say so', () => heard.length >= 4);

    const session = fingerprint(client.sessionId as string);
    const durationMs = expect.any(Number) as number;
    const ageMs = expect.any(Number) as number;
    expect(heard).toEqual([
      { type: 'created', session, durationMs },
      { type: 'recovered', session, cause: 'other-pod', durationMs },
      expect.objectContaining({ type: 'ended', session, ageMs }),
      expect.objectContaining({ type: 'ended', session, ageMs })
    ]);
    expect(heard.map(event => (event.type === 'ended' ? event.by : '')).sort()).toEqual([
      '',
      '',
      'client',
      'other-pod'
    ]);
    expect(JSON.stringify(heard)).not.toContain(client.sessionId);
  });

  test('says which session was forgotten for another one, and that this is why it is recovered', async () => {
    const pod = await startPodForTest({ sessionStore: new InMemorySessionStore(), maxLiveSessions: 1 });
    const heard = hear('mcp-anypod:session');
    const a = await new RawClient().open(pod.url);
    await new RawClient().open(pod.url);
    await echo(pod, a);
    const told = heard.filter(event => 'session' in event && event.session === fingerprint(a.sessionId as string));
    expect(told).toEqual([
      expect.objectContaining({ type: 'created' }),
      expect.objectContaining({ type: 'forgotten', cause: 'capacity' }),
      expect.objectContaining({ type: 'recovered', cause: 'forgotten' })
    ]);
  });

  test('says that a session expired in the store while it was live here', async () => {
    const sessionStore = new InMemorySessionStore();
    const pod = await startPodForTest({ sessionStore });
    const heard = hear('mcp-anypod:session');
    const client = await new RawClient().open(pod.url);
    await sessionStore.deleteSession(client.sessionId as string);
    expect(await echo(pod, client)).toBe(404);
    expect(heard.map(({ type }) => type)).toEqual(['created', 'expired', 'refused']);
    expect(heard.at(-1)).toMatchObject({ reason: 'not-found', status: 404 });
  });

  test('says why requests were refused: another owner, a store that fails, a pod that leaves', async () => {
    const sessionStore = new InMemorySessionStore();
    let owner = 'ada';
    const principalOf = () => owner;
    const handler = createMcpHandler(() => ({ connect: async () => {}, close: async () => {} }), {
      sessionStore,
      principalOf,
      onerror: () => {}
    });
    const mcp = { protocolVersion: '2025-11-25', principal: 'ada' };
    const now = Date.now();
    await sessionStore.storeSession('s', {
      sessionId: 's',
      initialized: true,
      createdAt: now,
      lastActivity: now,
      metadata: { mcp }
    });
    const heard = hear('mcp-anypod:session');
    const authInfo = { token: '', clientId: '', scopes: [] };
    const request = (body = { jsonrpc: '2.0', id: 1, method: 'ping' }) =>
      handler.fetch(
        new Request('http://pod/mcp', {
          method: 'POST',
          headers: { ...HEADERS, 'mcp-session-id': 's' },
          body: JSON.stringify(body)
        }),
        { authInfo }
      );
    owner = 'bob';
    await request();
    owner = 'ada';
    jest.spyOn(sessionStore, 'touchSession').mockRejectedValueOnce(new Error('down'));
    await request();
    await handler.close({ drainMs: 0 });
    await request();
    const told = heard.map(event => (event.type === 'refused' ? [event.reason, event.status] : event.type));
    expect(told).toEqual([['other-owner', 404], ['store-unavailable', 503], 'drained', ['draining', 503]]);
  });
});

describe('the channel of streams', () => {
  test('says that a GET stream was taken over by this pod, and by another pod', async () => {
    const [first, second] = await twoPods();
    const client = await new RawClient().open(first.url);
    const heard = hear('mcp-anypod:stream');
    const streams = [await client.stream(first.url)];
    streams.push(await client.stream(first.url));
    streams.push(await client.stream(second.url));
    await until('two were taken over', () => heard.filter(({ type }) => type === 'taken-over').length === 2);
    expect(heard.flatMap(event => (event.type === 'taken-over' ? [event.by] : []))).toEqual(['this-pod', 'other-pod']);
    expect(heard.filter(({ type }) => type === 'opened')).toHaveLength(3);
    streams.forEach(stream => stream.close());
    await until('all are closed', () => heard.filter(({ type }) => type === 'closed').length === 3);
  });

  test('says that a stream was resumed on another pod, and how many events were replayed', async () => {
    const [first, second] = await twoPods({ eventStore: new InMemoryEventStore() });
    const [a, b] = [first, second].map(({ url }) => ({ origin: url.replace('/mcp', '') })) as [
      { origin: string },
      { origin: string }
    ];
    const session = await StreamSession.open(a);
    const heard = hear('mcp-anypod:stream');
    const call = await session.call(a, 'slow', { ms: 300 });
    await call.until(() => call.lastEventId !== undefined);
    call.drop();
    const resumed = await session.listen(b, call.lastEventId);
    await resumed.untilEnded();
    expect(resumed.messages.at(-1)).toMatchObject({ result: { content: [{ text: 'done' }] } });
    expect(heard.filter(({ type }) => type === 'resumed')).toEqual([
      { type: 'resumed', session: fingerprint(session.id), kind: 'request', replayed: 0, owner: 'other-pod' }
    ]);
    const again = await session.listen(b, call.lastEventId);
    await again.untilEnded();
    expect(heard.findLast(({ type }) => type === 'resumed')).toMatchObject({ replayed: 1 });
  });
});

describe('the channels of exchanges and requests', () => {
  test('carry method, status, duration and the trace of the client, for fetch and for Node', async () => {
    const pod = await startPodForTest({ sessionStore: new InMemorySessionStore() });
    const client = await new RawClient({ traceparent: '00-1-2-01' }).open(pod.url);
    const exchanges = hear('mcp-anypod:exchange');
    const requests = hear('mcp-anypod:request');
    const _meta = { traceparent: '00-3-4-01' };
    await client.request(pod.url, 'tools/call', { name: 'echo', arguments: { text: 'x' }, _meta });
    await client.request(pod.url, 'no/such');
    await pod.handler.fetch(new Request('http://pod/mcp', { headers: HEADERS, method: 'POST', body: '{' }));
    await until('all are complete', () => exchanges.filter(({ phase }) => phase === 'end').length === 3);

    const session = fingerprint(client.sessionId as string);
    const ends = exchanges.filter(({ phase }) => phase === 'end');
    expect(ends.map(({ method, status }) => [method, status])).toEqual([
      ['POST', 200],
      ['POST', 200],
      ['POST', 400]
    ]);
    expect(ends.map(event => event.session)).toEqual([session, session, undefined]);
    expect(ends.every(({ durationMs }) => durationMs > 0)).toBe(true);
    const told = requests.filter(({ phase }) => phase === 'end');
    expect(told).toMatchObject([
      { method: 'tools/call', target: 'echo', outcome: 'result', session, direction: 'in' },
      { method: 'no/such', target: undefined, outcome: 'error', errorCode: -32601 }
    ]);
  });

  test('show the trace of the client, and no other header or parameter', async () => {
    const pod = await startPodForTest();
    const found: (string | undefined)[] = [];
    const onExchange = (event: unknown) => void found.push((event as ExchangeEvent).trace('traceparent'));
    const onRequest = (event: unknown) => void found.push((event as RequestEvent).trace('traceparent'));
    diagnostics.subscribe('mcp-anypod:exchange', onExchange);
    diagnostics.subscribe('mcp-anypod:request', onRequest);
    stopAfterTest(() => {
      diagnostics.unsubscribe('mcp-anypod:exchange', onExchange);
      diagnostics.unsubscribe('mcp-anypod:request', onRequest);
    });
    const exchanges = hear('mcp-anypod:exchange');
    const client = new RawClient({ traceparent: 'of the header', authorization: 'Bearer secret' });
    await client.initialize(pod.url, { _meta: { traceparent: 'of the request' } });
    await until('it is complete', () => exchanges.length === 2);
    expect(found).toEqual(['of the header', 'of the request', 'of the request', 'of the header']);
    expect(JSON.stringify(exchanges)).not.toMatch(/secret|of the/);
  });

  test('let a subscriber run the handler of a request in its own context', async () => {
    const seen: string[] = [];
    const { AsyncLocalStorage } = await import('node:async_hooks');
    const context = new AsyncLocalStorage<string>();
    const enter = (event: unknown) => {
      const request = event as RequestEvent;
      if (request.phase === 'start') request.within = work => context.run(request.method, work);
    };
    diagnostics.subscribe('mcp-anypod:request', enter);
    stopAfterTest(() => diagnostics.unsubscribe('mcp-anypod:request', enter));
    const pod = await startPodForTest({ onLog: () => {}, sessionStore: noting(seen, context) });
    const client = await new RawClient().open(pod.url);
    await client.callTool(pod.url, 'state', { op: 'get' });
    expect(seen).toContain('tools/call');
  });
});

/** A store that notes the context in which a tool reads the state. */
function noting(seen: string[], context: { getStore(): string | undefined }): InMemorySessionStore {
  const store = new InMemorySessionStore();
  const getState = store.getState.bind(store);
  store.getState = sessionId => {
    seen.push(String(context.getStore()));
    return getState(sessionId);
  };
  return store;
}

describe('the channels of store, bus and log', () => {
  test('carry each call with its duration and its outcome', async () => {
    const sessionStore = new InMemorySessionStore();
    const [first, second] = await twoPods({ sessionStore, eventStore: new InMemoryEventStore(), storeTimeoutMs: 50 });
    const store = hear('mcp-anypod:store');
    const bus = hear('mcp-anypod:bus');
    const log = hear('mcp-anypod:log');
    const client = await new RawClient().open(first.url);
    await echo(second, client);
    jest.spyOn(sessionStore, 'touchSession').mockRejectedValueOnce(new Error('the password is secret'));
    await echo(second, client);
    jest.spyOn(sessionStore, 'touchSession').mockReturnValueOnce(new Promise(() => {}));
    await echo(second, client);

    const outcomes = store.filter(({ call }) => call === 'touchSession').map(({ outcome }) => outcome);
    expect(new Set(outcomes)).toEqual(new Set(['ok', 'error', 'timeout']));
    expect(store.map(({ call }) => call)).toEqual(expect.arrayContaining(['storeSession', 'patchSession']));
    const failed = store.find(({ outcome }) => outcome === 'error');
    expect(failed).toMatchObject({ session: fingerprint(client.sessionId as string) });
    expect(failed?.error?.code).toBe('ANYPOD_STORE_UNAVAILABLE');
    expect(JSON.stringify(store)).not.toContain('secret');
    expect(bus.filter(({ type }) => type === 'call')).toEqual(
      expect.arrayContaining([expect.objectContaining({ call: 'subscribe', outcome: 'ok' })])
    );
    expect(log.map(({ call }) => call)).toEqual(expect.arrayContaining(['storeLastEvent']));
  });

  test('let a subscriber give a message between pods the context of its trace', async () => {
    const [first, second] = await twoPods();
    const client = await AnsweringClient.connect(first.url);
    await echo(second, Object.assign(new RawClient(), { sessionId: client.http.sessionId }));
    const messages: BusEvent[] = [];
    const listener = (message: unknown) => {
      const event = message as BusEvent;
      if (event.type !== 'message') return;
      if (event.direction === 'out' && event.phase === 'start') event.traceparent = '00-1-2-01';
      messages.push(copied(event));
    };
    diagnostics.subscribe('mcp-anypod:bus', listener);
    stopAfterTest(() => diagnostics.unsubscribe('mcp-anypod:bus', listener));
    await client.notification({ method: 'notifications/roots/list_changed' });
    await until('the other pod has it', () =>
      messages.some(event => event.type === 'message' && event.direction === 'in')
    );
    expect(messages.filter(event => event.type === 'message' && event.kind === 'notification')).toMatchObject([
      { direction: 'out', phase: 'start' },
      { direction: 'in', phase: 'start', traceparent: '00-1-2-01' },
      { direction: 'in', phase: 'end' },
      { direction: 'out', phase: 'end', sent: true }
    ]);
    await client.leave();
  });
});

describe('onLog', () => {
  const lines: Parameters<OnLogEvent>[] = [];
  const onLog: OnLogEvent = (...line) => void lines.push(line);
  beforeEach(() => void lines.splice(0));

  test('receives the events of its own handler, and no session id', async () => {
    const sessionStore = new InMemorySessionStore();
    const pod = await startPodForTest({ sessionStore, onLog });
    const other = await startPodForTest({ sessionStore });
    const client = await new RawClient().open(pod.url);
    await echo(other, client);
    await client.delete(other.url);
    await until('it says that the session has ended', () => lines.length >= 2);
    expect(lines.map(([level, event]) => [level, event])).toEqual([
      ['info', 'session-created'],
      ['info', 'session-ended']
    ]);
    expect(lines[1]?.[2]).toMatchObject({ by: 'other-pod', session: fingerprint(client.sessionId as string) });
    expect(JSON.stringify(lines)).not.toContain(client.sessionId);
  });

  test('receives errors instead of process warnings, and failed calls', async () => {
    const warnings: unknown[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on('warning', note);
    stopAfterTest(() => process.off('warning', note));
    const sessionStore = new InMemorySessionStore();
    jest.spyOn(sessionStore, 'storeSession').mockRejectedValueOnce(new Error('secret'));
    const handler = createMcpHandler(
      () => {
        throw new Error('no database');
      },
      { sessionStore, onLog }
    );
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'a', version: '1' } };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params });
    const response = await handler.fetch(new Request('http://pod/mcp', { method: 'POST', headers: HEADERS, body }));
    expect(response.status).toBe(500);
    await new Promise(resolve => setImmediate(resolve));
    expect(warnings).toEqual([]);
    expect(lines).toEqual([['error', 'error', { code: undefined, message: 'no database' }]]);
    await handler.close();
  });

  test('may throw: requests are served', async () => {
    const pod = await startPodForTest({
      sessionStore: new InMemorySessionStore(),
      onLog: () => {
        throw new Error('the disk is full');
      }
    });
    const client = await new RawClient().open(pod.url);
    expect(await echo(pod, client)).toBe('x');
  });

  test('is refused if it is not a function', () => {
    const build = () =>
      createMcpHandler(() => ({ connect: async () => {}, close: async () => {} }), { onLog: 1 as never });
    expect(build).toThrow('Invalid option onLog: got 1, expected a function');
  });
});

test('an exchange over fetch is complete when its stream has ended', async () => {
  const pod = await startPodForTest();
  const heard = hear('mcp-anypod:exchange');
  const client = await new RawClient().open(pod.url);
  const headers = { ...HEADERS, 'mcp-session-id': client.sessionId as string };
  const before = heard.length;
  const abort = new AbortController();
  const response = await pod.handler.fetch(new Request('http://pod/mcp', { headers, signal: abort.signal }));
  expect(response.status).toBe(200);
  expect(heard).toHaveLength(before + 1);
  await response.body?.cancel();
  expect(heard.at(-1)).toMatchObject({ phase: 'end', method: 'GET', status: 200 });
});

test('if nobody listens, a call makes no payload, and reads the clock once, for the health of the store', async () => {
  const pod = await startPodForTest({ sessionStore: new InMemorySessionStore() });
  const client = await new RawClient().open(pod.url);
  const payloads = jest.spyOn(sessionIds, 'fingerprint');
  let reads = 0;
  const now = (): number => {
    // Limits and idle times need the clock as well.
    if (new Error().stack?.split('\n')[2]?.includes('/src/events/')) reads++;
    return performance.now();
  };
  const restore = replaceTimers({ performance: { now } });
  try {
    await echo(pod, client);
    expect([payloads.mock.calls.length, reads]).toEqual([0, 1]);
    reads = 0;
    const heard = hear('mcp-anypod:store');
    await echo(pod, client);
    expect([payloads.mock.calls.length, reads, heard.length]).toEqual([1, 2, 1]);
  } finally {
    restore();
    payloads.mockRestore();
  }
});
