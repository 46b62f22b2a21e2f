import { setTimeout as delay } from 'node:timers/promises';
import { createMcpHandler, InMemoryEventStore, InMemorySessionStore, InvalidOptionError } from 'mcp-sdk-anypod/server';
import { EventStream } from '../../support/clients/eventStream.js';
import { listen } from '../../support/servers/listen.js';
import { Journal, ProbeServer } from '../../support/pods/probeServer.js';
import { post, RawClient } from '../../support/clients/rawClient.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';
import { type LocalPod, startPodForTest } from '../../support/pods/localPod.js';

const echo = (pod: LocalPod, client: RawClient) => client.callTool(pod.url, 'echo', { text: 'x' });

async function untilCalled(pod: LocalPod, client: RawClient): Promise<void> {
  await until('the slow tool runs', () => pod.count('tool', client.sessionId) > 0);
}

describe('maxLiveSessions', () => {
  test('the least recently used idle session makes room, and is recovered later', async () => {
    const pod = await startPodForTest({ sessionStore: new InMemorySessionStore(), maxLiveSessions: 2 });
    const [a, b] = [await new RawClient().open(pod.url), await new RawClient().open(pod.url)];
    await echo(pod, a);
    const c = await new RawClient().open(pod.url);
    expect(pod.handler.liveSessions).toBe(2);
    expect([a, b, c].map(({ sessionId }) => pod.count('server closed', sessionId))).toEqual([0, 1, 0]);

    expect(await echo(pod, b)).toBe('x');
    expect(pod.count('onsessionrecovered', b.sessionId)).toBe(1);
    expect([a, b, c].map(({ sessionId }) => pod.count('server closed', sessionId))).toEqual([1, 1, 0]);
    expect(pod.handler.liveSessions).toBe(2);
  });

  test('a request for one more session gets 503 if no session is idle', async () => {
    const pod = await startPodForTest({ sessionStore: new InMemorySessionStore(), maxLiveSessions: 2 });
    const idle = await new RawClient().open(pod.url);
    const streaming = await new RawClient().open(pod.url);
    const stream = await streaming.stream(pod.url);
    const waiting = await new RawClient().open(pod.url);
    const slow = waiting.callTool(pod.url, 'slow', { ms: 400 });
    await untilCalled(pod, waiting);

    const made = pod.count('factory');
    for (const answer of [await new RawClient().initialize(pod.url), await idle.request(pod.url, 'ping')]) {
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
      expect(answer.messages[0]?.error).toMatchObject({ code: -32000 });
      expect(answer.headers.get('mcp-session-id')).toBeNull();
    }
    expect(pod.count('factory')).toBe(made);
    expect(await slow).toBe('done');
    expect(await echo(pod, idle)).toBe('x');
    stream.close();
  });

  // Promise: L8
  test('many clients that arrive at once do not exceed the limit', async () => {
    const pod = await startPodForTest({ sessionStore: new InMemorySessionStore(), maxLiveSessions: 5 });
    const clients = await Promise.all(Array.from({ length: 30 }, () => new RawClient().initialize(pod.url)));
    expect(new Set(clients.map(({ status }) => status))).toEqual(new Set([200]));
    expect(pod.handler.liveSessions).toBe(5);
  });
});

describe('idleTimeoutMs', () => {
  test('in memory mode an idle session ends', async () => {
    const pod = await startPodForTest({ idleTimeoutMs: 100 });
    const client = await new RawClient().open(pod.url);
    await until('it has ended', () => pod.handler.liveSessions === 0);
    expect(await echo(pod, client)).toBe(404);
    expect(pod.count('onsessionclosed')).toBe(0);
  });

  test('a session begins to be idle when its stream or its slow request ends, not when it began', async () => {
    const pod = await startPodForTest({ idleTimeoutMs: 800 });
    const [streaming, waiting] = [await new RawClient().open(pod.url), await new RawClient().open(pod.url)];
    const stream = await streaming.stream(pod.url);
    expect(await waiting.callTool(pod.url, 'slow', { ms: 1050 })).toBe('done');
    stream.close();
    await delay(300);
    expect(await echo(pod, waiting)).toBe('x');
    expect(await echo(pod, streaming)).toBe('x');
  });

  test('a session does not expire while it waits for a JSON answer', async () => {
    const sessionStore = new InMemorySessionStore({ ttlSeconds: 1 });
    const pod = await startPodForTest({ sessionStore, enableJsonResponse: true });
    const client = await new RawClient().open(pod.url);
    expect(await client.callTool(pod.url, 'slow', { ms: 1500 })).toBe('done');
    expect(await echo(pod, client)).toBe('x');
  });

  test('a session never becomes idle if idleTimeoutMs is 0', async () => {
    const pod = await startPodForTest({ idleTimeoutMs: 0 });
    const client = await new RawClient().open(pod.url);
    await delay(50);
    expect(await echo(pod, client)).toBe('x');
  });
});

describe('close', () => {
  test('finishes requests in progress, refuses new ones, and leaves the sessions to other pods', async () => {
    const sessionStore = new InMemorySessionStore();
    const [leaving, staying] = [await startPodForTest({ sessionStore }), await startPodForTest({ sessionStore })];
    const client = await new RawClient().open(leaving.url);
    const stream = await client.stream(leaving.url);
    const slow = client.callTool(leaving.url, 'slow', { ms: 400 });
    await untilCalled(leaving, client);

    let closed = false;
    const closing = leaving.handler.close({ drainMs: 5000 }).then(() => (closed = true));
    await stream.ended;
    for (const answer of [
      await client.request(leaving.url, 'ping'),
      await new RawClient().initialize(leaving.url),
      await client.delete(leaving.url)
    ]) {
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
      expect(answer.headers.get('connection')).toBe('close');
    }
    expect((await client.stream(leaving.url)).status).toBe(503);
    // What belongs to the open request still gets through.
    expect((await client.notify(leaving.url, 'notifications/progress', progress)).status).toBe(202);
    expect(closed).toBe(false);
    expect(await slow).toBe('done');
    await closing;
    expect(leaving.handler.liveSessions).toBe(0);
    expect(leaving.count('server closed', client.sessionId)).toBe(1);
    expect(leaving.count('onsessionclosed')).toBe(0);
    expect(await echo(staying, client)).toBe('x');
  });

  const progress = { progressToken: 1, progress: 1 };

  test('waits no longer than drainMs', async () => {
    const pod = await startPodForTest();
    const client = await new RawClient().open(pod.url);
    const slow = client.callTool(pod.url, 'slow', { ms: 1000 }).catch(() => 'cut');
    await untilCalled(pod, client);
    const start0 = Date.now();
    await pod.handler.close({ drainMs: 100 });
    expect(Date.now() - start0).toBeLessThan(800);
    expect(pod.handler.liveSessions).toBe(0);
    expect(await slow).not.toBe('done');
  });

  test('a client that waits for a JSON answer longer than drainMs does not get 404', async () => {
    const sessionStore = new InMemorySessionStore();
    const [leaving, staying] = [
      await startPodForTest({ sessionStore, enableJsonResponse: true }),
      await startPodForTest({ sessionStore, enableJsonResponse: true })
    ];
    const client = await new RawClient().open(leaving.url);
    const slow = client.request(leaving.url, 'tools/call', { name: 'slow', arguments: { ms: 1000 } });
    await untilCalled(leaving, client);
    await leaving.handler.close({ drainMs: 50 });
    const { status, headers } = await slow;
    expect([status, headers.get('retry-after')]).toEqual([503, '1']);
    expect(await echo(staying, client)).toBe('x');
  });

  test('a server that is still being built after drainMs is not started', async () => {
    const journal = new Journal();
    let building = 0;
    let goOn = (): void => {};
    const blocked = new Promise<void>(resolve => (goOn = resolve));
    const sessionStore = new InMemorySessionStore();
    const handler = createMcpHandler(
      async () => {
        building++;
        await blocked;
        return new ProbeServer(journal, 'Server');
      },
      { ...journal.callbacks(), sessionStore }
    );
    const { origin, stop } = await listen((req, res) => void handler.node(req, res));
    stopAfterTest(stop);
    const staying = await startPodForTest({ sessionStore });
    const client = await new RawClient().open(staying.url);

    const answers = [client.request(origin, 'ping'), new RawClient().initialize(origin)];
    await until('two servers are being made', () => building === 2);
    await handler.close({ drainMs: 0 });
    goOn();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([503, 503]);
    expect(handler.liveSessions).toBe(0);
    expect(journal.entries.filter(({ what }) => what === 'onsessioninitialized')).toEqual([]);
    expect(await echo(staying, client)).toBe('x');
  });

  test('an opening that takes longer than drainMs gets 503 and leaves no session', async () => {
    const sessionStore = new InMemorySessionStore();
    const pod = await startPodForTest({ sessionStore });
    const created: string[] = [];
    let goOn = (): void => {};
    const blocked = new Promise<void>(resolve => (goOn = resolve));
    const store = sessionStore.storeSession.bind(sessionStore);
    sessionStore.storeSession = async (sessionId, data) => {
      created.push(sessionId);
      await blocked;
      await store(sessionId, data);
    };
    const opening = new RawClient().initialize(pod.url);
    await until('it is being opened', () => created.length === 1);
    await pod.handler.close({ drainMs: 0 });
    goOn();
    const { status, headers, messages } = await opening;
    expect([status, headers.get('retry-after'), headers.get('connection')]).toEqual([503, '1', 'close']);
    expect(headers.get('mcp-session-id')).toBeNull();
    expect(messages[0]?.error).toMatchObject({ code: -32000 });
    expect(await sessionStore.sessionExists(created[0]!)).toBe(false);
    expect(pod.count('server closed')).toBe(1);
  });

  test('serves requests for delayMs, while ready is false and each reply has Connection: close', async () => {
    const sessionStore = new InMemorySessionStore();
    const pod = await startPodForTest({ sessionStore });
    const client = await new RawClient().open(pod.url);
    const stream = await client.stream(pod.url);
    expect(pod.handler.ready).toBe(true);
    const closing = pod.handler.close({ delayMs: 2000 });
    expect(pod.handler.ready).toBe(false);

    const opened = await new RawClient().initialize(pod.url);
    const answer = await client.request(pod.url, 'ping');
    expect([opened, answer].map(({ status }) => status)).toEqual([200, 200]);
    expect([opened, answer].map(({ headers }) => headers.get('connection'))).toEqual(['close', 'close']);
    await stream.ended;
    expect((await client.request(pod.url, 'ping')).status).toBe(503);
    await closing;
    expect(pod.handler.ready).toBe(false);
  });

  test('waits for a request in progress even if the clock is set forward', async () => {
    const pod = await startPodForTest();
    const client = await new RawClient().open(pod.url);
    const slow = client.callTool(pod.url, 'slow', { ms: 300 });
    await untilCalled(pod, client);
    const { now } = Date;
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
    stopAfterTest(() => clock.mockRestore());
    const closing = pod.handler.close({ drainMs: 5000 });
    clock.mockImplementation(() => now() + 7_200_000);
    await closing;
    expect(await slow).toBe('done');
  });

  test('may be called again at any time, and waits for the end of the first call', async () => {
    const pod = await startPodForTest();
    await new RawClient().open(pod.url);
    const [one, two] = [pod.handler.close(), pod.handler.close({ drainMs: 0 })];
    await Promise.all([one, two]);
    await pod.handler.close();
    expect(pod.count('server closed')).toBe(1);
  });
});

describe('the server factory', () => {
  async function startWith(factory: Parameters<typeof createMcpHandler>[0]) {
    const journal = new Journal();
    const sessionStore = new InMemorySessionStore();
    const handler = createMcpHandler(factory, { ...journal.callbacks(), sessionStore });
    const { origin, stop } = await listen((req, res) => void handler.node(req, res));
    stopAfterTest(stop, () => handler.close({ drainMs: 0 }));
    return { handler, journal, url: origin, sessionStore };
  }

  test.each([
    ['throws', () => Promise.reject(new Error('the password is hunter2'))],
    [
      'makes a server that does not connect',
      () => ({ connect: () => Promise.reject(new Error('the password is hunter2')), close: async () => {} })
    ]
  ])('that %s is reported, and the client gets an error without details', async (_how, factory) => {
    const { handler, journal, url } = await startWith(factory);
    const answer = await new RawClient().initialize(url);
    expect([answer.status, answer.messages[0]?.error]).toEqual([500, { code: -32603, message: 'Internal error' }]);
    expect(answer.headers.get('mcp-session-id')).toBeNull();
    expect(answer.text).not.toContain('hunter2');
    expect(journal.entries).toEqual([{ what: 'error', name: 'Error: the password is hunter2' }]);
    expect(handler.liveSessions).toBe(0);
  });

  test('that fails once while a session is recovered is asked again at the next request', async () => {
    let failing = false;
    const { handler, url, sessionStore } = await startWith(({ recovering }) => {
      if (recovering && failing) throw new Error('not now');
      return new ProbeServer(new Journal(), 'Server');
    });
    const other = await startPodForTest({ sessionStore });
    const client = await new RawClient().open(other.url);
    failing = true;
    expect((await client.request(url, 'ping')).status).toBe(500);
    failing = false;
    expect(await client.callTool(url, 'echo', { text: 'x' })).toBe('x');
    expect(handler.liveSessions).toBe(1);
  });

  test('that is slow is called once for all concurrent requests of a session', async () => {
    let calls = 0;
    const { url, sessionStore } = await startWith(async () => {
      calls++;
      await delay(100);
      return new ProbeServer(new Journal(), 'Server');
    });
    const other = await startPodForTest({ sessionStore });
    const client = await new RawClient().open(other.url);
    const answers = Array.from({ length: 20 }, (_, i) => client.callTool(url, 'echo', { text: i }));
    expect(await Promise.all(answers)).toEqual(answers.map((_, i) => String(i)));
    expect(calls).toBe(1);
  });

  test('gets the auth info of the request and whether the session is new', async () => {
    const contexts: unknown[] = [];
    const { url, sessionStore } = await startWith(({ recovering, authInfo, requestInfo }) => {
      contexts.push({ recovering, authInfo, asked: requestInfo.headers['x-asked'] });
      return new ProbeServer(new Journal(), 'Server');
    });
    await new RawClient({ 'x-asked': 'first' }).open(url);
    const other = await startPodForTest({ sessionStore });
    const client = await new RawClient({ 'x-asked': 'then' }).open(other.url);
    await client.request(url, 'ping');
    expect(contexts).toEqual([
      { recovering: false, authInfo: undefined, asked: 'first' },
      { recovering: true, authInfo: undefined, asked: 'then' }
    ]);
  });
});

test.each([
  ['memory', undefined],
  ['external', new InMemorySessionStore()]
])('a session that onsessioninitialized refuses is not kept, in %s mode', async (_mode, sessionStore) => {
  const refused: string[] = [];
  const pod = await startPodForTest({
    sessionStore,
    onsessioninitialized: sessionId => {
      refused.push(sessionId);
      throw new Error('not you');
    }
  });
  const { status, headers } = await new RawClient().initialize(pod.url);
  expect([status, headers.get('mcp-session-id')]).toEqual([400, null]);
  expect(await sessionStore?.sessionExists(refused[0]!)).not.toBe(true);
  expect(pod.handler.liveSessions).toBe(0);
  expect(pod.count('server closed')).toBe(1);
});

// Promise: L4
test('a DELETE during a recovery on another pod ends the recovered session', async () => {
  const sessionStore = new InMemorySessionStore();
  const journal = new Journal();
  let building = false;
  let goOn = (): void => {};
  const blocked = new Promise<void>(resolve => (goOn = resolve));
  const slow = createMcpHandler(
    async () => {
      building = true;
      await blocked;
      return new ProbeServer(journal, 'Server');
    },
    { ...journal.callbacks(), sessionStore }
  );
  const { origin, stop } = await listen((req, res) => void slow.node(req, res));
  stopAfterTest(stop, () => slow.close({ drainMs: 0 }));
  const pod = await startPodForTest({ sessionStore });
  const client = await new RawClient().open(pod.url);

  const stream = client.stream(origin);
  await until('the session is being recovered', () => building);
  expect((await client.delete(pod.url)).status).toBe(200);
  goOn();
  expect((await stream).status).toBe(404);
  expect(slow.liveSessions).toBe(0);
});

describe('a DELETE that does not reach all pods', () => {
  test('ends the session on every pod if the client repeats the DELETE', async () => {
    const sessionStore = new InMemorySessionStore();
    const [first, second] = [await startPodForTest({ sessionStore }), await startPodForTest({ sessionStore })];
    const client = await new RawClient().open(first.url);
    const stream = await client.stream(second.url);
    // As a DELETE leaves it of which the store has told too late.
    await sessionStore.deleteSession(client.sessionId!);
    expect((await client.delete(first.url)).status).toBe(404);
    await stream.ended;
    await until('nothing is left of it', () => first.handler.liveSessions + second.handler.liveSessions === 0);
  });

  test('ends the session on every pod if the store deleted it but failed to answer', async () => {
    const sessionStore = new InMemorySessionStore();
    const [first, second] = [await startPodForTest({ sessionStore }), await startPodForTest({ sessionStore })];
    const client = await new RawClient().open(first.url);
    const stream = await client.stream(second.url);
    const remove = sessionStore.deleteSession.bind(sessionStore);
    sessionStore.deleteSession = async sessionId => {
      await remove(sessionId);
      throw new Error('the connection was cut');
    };
    expect((await client.delete(first.url)).status).toBe(503);
    await stream.ended;
    await until('the other pod has let it go', () => second.handler.liveSessions === 0);
  });

  test('publishes nothing about an id that no session has', async () => {
    const sessionStore = new InMemorySessionStore();
    const sessionBus = sessionStore.createBus();
    const topics: string[] = [];
    const publish = sessionBus.publish.bind(sessionBus);
    sessionBus.publish = (topic, message) => {
      topics.push(topic);
      return publish(topic, message);
    };
    const pod = await startPodForTest({ sessionStore, sessionBus });
    const stranger = new RawClient({ 'mcp-session-id': 'x'.repeat(257) });
    expect((await stranger.delete(pod.url)).status).toBe(404);
    expect(topics).toEqual([]);
  });
});

describe('two DELETEs of one session at once', () => {
  async function deleteTwice(removal: (remove: () => Promise<boolean>) => Promise<boolean>, podCount = 1) {
    const sessionStore = new InMemorySessionStore();
    const pods = await Promise.all(Array.from({ length: podCount }, () => startPodForTest({ sessionStore })));
    const [first, last] = [pods[0]!, pods.at(-1)!];
    const client = await new RawClient().open(first.url);
    const touch = sessionStore.touchSession.bind(sessionStore);
    const remove = sessionStore.deleteSession.bind(sessionStore);
    let looks = 0;
    let goOn = (): void => {};
    const bothHaveLooked = new Promise<void>(resolve => (goOn = resolve));
    sessionStore.touchSession = async (...args) => {
      const record = await touch(...args);
      if (++looks === 2) goOn();
      return record;
    };
    sessionStore.deleteSession = async sessionId => {
      await bothHaveLooked;
      return removal(() => remove(sessionId));
    };
    const answers = await Promise.all([client.delete(first.url), client.delete(last.url)]);
    const closed = (): number => pods.reduce((count, pod) => count + pod.count('onsessionclosed'), 0);
    return { pods, client, closed, statuses: answers.map(({ status }) => status).sort() };
  }

  test.each([1, 2])('one DELETE ends the session and the other is answered 404 (pods: %i)', async podCount => {
    const { pods, closed, statuses } = await deleteTwice(remove => remove(), podCount);
    expect(statuses).toEqual([200, 404]);
    expect(closed()).toBe(1);
    expect(pods.map(({ handler }) => handler.liveSessions)).toEqual(pods.map(() => 0));
  });

  test('neither of two concurrent DELETEs ends the session if the store fails, and the next DELETE does', async () => {
    let failing = true;
    const { pods, client, closed, statuses } = await deleteTwice(remove =>
      failing ? Promise.reject(new Error('not now')) : remove()
    );
    expect(statuses).toEqual([503, 503]);
    failing = false;
    expect((await client.delete(pods[0]!.url)).status).toBe(200);
    expect(closed()).toBe(1);
  });
});

test("with 'reject' a stream that is held on one pod is not resumed on another", async () => {
  const shared = { sessionStore: new InMemorySessionStore(), eventStore: new InMemoryEventStore() };
  const [a, b] = [
    await startPodForTest({ ...shared, standaloneStream: 'reject' }),
    await startPodForTest({ ...shared, standaloneStream: 'reject' })
  ];
  const client = await new RawClient().open(a.url);
  const headers = { 'mcp-session-id': client.sessionId!, accept: 'text/event-stream' };
  const stream = await EventStream.open(a.url, { headers });
  await client.callTool(a.url, 'log', { text: 'x' });
  await stream.until(() => stream.lastEventId !== undefined);
  const resume = () => EventStream.open(b.url, { headers: { ...headers, 'last-event-id': stream.lastEventId! } });
  expect((await resume()).status).toBe(409);
  stream.drop();
  await until('the stream can be had again', async () => {
    const again = await resume();
    again.drop();
    return again.status === 200;
  });
});

test("with 'reject', either a GET or a concurrent resume is refused", async () => {
  const sessionStore = new InMemorySessionStore();
  const pod = await startPodForTest({ sessionStore, eventStore: new InMemoryEventStore(), standaloneStream: 'reject' });
  const client = await new RawClient().open(pod.url);
  const headers = { 'mcp-session-id': client.sessionId!, accept: 'text/event-stream' };
  const open = (lastEventId?: string) => {
    const all = lastEventId === undefined ? headers : { ...headers, 'last-event-id': lastEventId };
    return pod.handler.fetch(new Request(pod.url, { headers: all }));
  };
  const reader = (await open()).body!.getReader();
  await client.callTool(pod.url, 'log', { text: 'x' });
  const { value } = await reader.read();
  const cursor = /^id: (.+)$/m.exec(new TextDecoder().decode(value))![1]!;
  await reader.cancel();
  const both = await Promise.all([open(), open(cursor)]);
  expect(both.map(({ status }) => status).sort()).toEqual([200, 409]);
});

// Promise: F4
test('a record that a newer version has written is refused with an explanation, and kept', async () => {
  const sessionStore = new InMemorySessionStore();
  const pod = await startPodForTest({ sessionStore });
  const data = {
    sessionId: 'newer',
    initialized: true,
    createdAt: 1,
    lastActivity: 1,
    metadata: { mcp: { version: 2 } }
  };
  await sessionStore.storeSession('newer', data);
  const answer = await new RawClient({ 'mcp-session-id': 'newer' }).request(pod.url, 'ping');
  expect(answer.status).toBe(503);
  expect(pod.errors.at(-1)).toMatch(/SessionRecordUnreadableError.*newer version of this package/);
  expect(await sessionStore.sessionExists('newer')).toBe(true);
});

test('terminateSession ends a session for every pod', async () => {
  const sessionStore = new InMemorySessionStore();
  const [first, second] = [await startPodForTest({ sessionStore }), await startPodForTest({ sessionStore })];
  const client = await new RawClient().open(first.url);
  await echo(second, client);
  await second.handler.terminateSession(client.sessionId!);
  expect(await echo(second, client)).toBe(404);
  expect(await echo(first, client)).toBe(404);
  expect(first.handler.liveSessions + second.handler.liveSessions).toBe(0);
});

test('a malformed id ends no session and costs no call to the store', async () => {
  const sessionStore = new InMemorySessionStore();
  const asked: string[] = [];
  const pod = await startPodForTest({
    sessionStore: Object.assign(sessionStore, {
      deleteSession: async (sessionId: string) => void asked.push(sessionId)
    })
  });
  for (const sessionId of ['', 'two words', 'x'.repeat(257)]) await pod.handler.terminateSession(sessionId);
  await expect(pod.handler.terminateSession(undefined as never)).rejects.toThrow('sessionId');
  expect(asked).toEqual([]);
});

test('in memory mode subscribers get resource updates until they unsubscribe', async () => {
  const pod = await startPodForTest();
  const [one, two] = [await new RawClient().open(pod.url), await new RawClient().open(pod.url)];
  const streams = [await one.stream(pod.url), await two.stream(pod.url)];
  const updated = (name: string) => pod.handler.notify.resourceUpdated(`test://${name}`);
  for (const [client, names] of [
    [one, ['a', 'b']],
    [two, ['b']]
  ] as const) {
    for (const name of names) await client.request(pod.url, 'resources/subscribe', { uri: `test://${name}` });
  }
  await updated('a');
  await updated('b');
  await one.request(pod.url, 'resources/unsubscribe', { uri: 'test://b' });
  await updated('b');
  await pod.handler.notify.toolsChanged();
  const last = 'notifications/tools/list_changed';
  await until('all has arrived', () => streams.every(({ messages }) => messages.at(-1)?.method === last));
  expect(streams.map(({ messages }) => messages.flatMap(({ params }) => params?.uri ?? []))).toEqual([
    ['test://a', 'test://b'],
    ['test://b', 'test://b']
  ]);
  for (const stream of streams) stream.close();
});

test('in memory mode the handler serves and ends sessions without a store', async () => {
  const pod = await startPodForTest({}, 'McpServer');
  const client = await new RawClient().open(pod.url);
  expect(await echo(pod, client)).toBe('x');
  expect(await echo(pod, new RawClient({ 'mcp-session-id': 'unknown' }))).toBe(404);
  const again = await new RawClient({ 'mcp-session-id': client.sessionId! }).initialize(pod.url);
  expect([again.status, again.messages[0]?.error?.code]).toEqual([400, -32600]);
  expect((await client.delete(pod.url)).status).toBe(200);
  expect(await echo(pod, client)).toBe(404);
  expect(pod.count('onsessionclosed')).toBe(1);
});

test('a body that a framework has parsed is used, whatever the framework leaves in the request', async () => {
  const handler = createMcpHandler(() => new ProbeServer(new Journal(), 'Server'));
  const next = () => {};
  const { origin, stop } = await listen((req, res) => {
    void (async () => {
      let text = '';
      for await (const chunk of req) text += String(chunk);
      Object.assign(req, { body: JSON.parse(text) as unknown });
      await handler.node(req, res, next);
    })();
  });
  stopAfterTest(stop);
  const client = await new RawClient().open(origin);
  expect(await client.callTool(origin, 'echo', { text: 'parsed' })).toBe('parsed');
});

test('options of the wrong kind are refused where they are given', () => {
  const factory = () => new ProbeServer(new Journal(), 'Server');
  expect(() => createMcpHandler(factory, { maxLiveSessions: 0 })).toThrow(InvalidOptionError);
  expect(() => createMcpHandler(factory, { idleTimeoutMs: -1 })).toThrow(InvalidOptionError);
  expect(() => createMcpHandler(undefined as never)).toThrow(InvalidOptionError);
  expect(() => createMcpHandler(factory, { sessionStorageMode: 'external' })).toThrow(InvalidOptionError);
});

// Promise: F2
test('a request without a session id that opens none is answered 400', async () => {
  const pod = await startPodForTest();
  expect((await post(pod.url, { jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(400);
});
