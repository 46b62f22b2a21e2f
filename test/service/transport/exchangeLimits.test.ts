import { InMemoryEventStore, InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import { startPodForTest } from '../../support/pods/localPod.js';

const never = new Promise<never>(() => {});

describe('a store, a bus and an event log that all stop answering', () => {
  const storeTimeoutMs = 1000;

  /** Two pods on one backend that stops answering when it is told to. */
  async function startPods(standaloneStream?: 'reject') {
    const sessionStore = new InMemorySessionStore();
    const eventStore = new InMemoryEventStore();
    const sessionBus = sessionStore.createBus();
    const options = { sessionStore, sessionBus, eventStore, storeTimeoutMs, standaloneStream };
    const [first, second] = [await startPodForTest(options), await startPodForTest(options)];
    const stopAnswering = (): void => {
      sessionStore.touchSession = sessionStore.patchSession = () => never;
      sessionBus.subscribe = sessionBus.publish = () => never;
      eventStore.storeEvent = eventStore.latestEventId = () => never;
    };
    return { first, second, sessionStore, stopAnswering };
  }

  test('cost the first call on another pod storeTimeoutMs once, if they stop after the session was found', async () => {
    const { first, second, sessionStore, stopAnswering } = await startPods();
    const client = await new RawClient().open(first.url);
    const touch = sessionStore.touchSession.bind(sessionStore);
    sessionStore.touchSession = async (...args) => {
      const record = await touch(...args);
      stopAnswering();
      return record;
    };
    const answer = await client.request(second.url, 'tools/call', { name: 'echo', arguments: { text: 'x' } });
    expect([answer.status, answer.text]).toEqual([200, expect.stringContaining('"x"')]);
    expect(answer.ms).toBeGreaterThan(0.9 * storeTimeoutMs);
    expect(answer.ms).toBeLessThan(1.8 * storeTimeoutMs);
  });

  test('cost an initialize request storeTimeoutMs once, if they stop after the session was stored', async () => {
    const { first, sessionStore, stopAnswering } = await startPods();
    const store = sessionStore.storeSession.bind(sessionStore);
    sessionStore.storeSession = async (...args) => {
      await store(...args);
      stopAnswering();
    };
    const answer = await new RawClient().initialize(first.url);
    expect(answer.status).toBe(200);
    expect(answer.ms).toBeLessThan(1.8 * storeTimeoutMs);
  });

  /** How long a GET waits for its headers if the backend stops answering after the session was found. */
  async function openingMs(headers: Record<string, string>): Promise<number> {
    const { first, second, sessionStore, stopAnswering } = await startPods('reject');
    const client = await new RawClient().open(first.url);
    await client.request(second.url, 'ping');
    const touch = sessionStore.touchSession.bind(sessionStore);
    sessionStore.touchSession = async (...args) => {
      const record = await touch(...args);
      stopAnswering();
      return record;
    };
    const leaving = new AbortController();
    const began = performance.now();
    const response = await fetch(second.url, {
      headers: {
        accept: 'text/event-stream',
        'mcp-protocol-version': '2025-11-25',
        'mcp-session-id': client.sessionId!,
        ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, `${client.sessionId}${value}`]))
      },
      signal: leaving.signal
    });
    expect(response.status).toBe(200);
    leaving.abort();
    return performance.now() - began;
  }

  test('cost a GET storeTimeoutMs once', async () => {
    expect(await openingMs({})).toBeLessThan(1.8 * storeTimeoutMs);
  });

  test('cost a GET whose cursor the event log no longer has storeTimeoutMs once', async () => {
    expect(await openingMs({ 'last-event-id': ':standalone@99' })).toBeLessThan(1.8 * storeTimeoutMs);
  });
});

describe('a message that is nested 20,000 levels deep', () => {
  const deep = '['.repeat(20_000) + ']'.repeat(20_000);
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

  test.each([
    [
      'an initialize request',
      `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25",
      "capabilities":{"experimental":{"x":{"y":${deep}}}},"clientInfo":{"name":"deep","version":"1"}}}`
    ],
    ['a response', `{"jsonrpc":"2.0","id":"0123456789ab:1","result":{"deep":${deep}}}`],
    ['a notification', `{"jsonrpc":"2.0","method":"notifications/deep","params":{"deep":${deep}}}`]
  ])('is answered 400 if it is %s, and the session lives on', async (_, body) => {
    const pod = await startPodForTest({ sessionStore: new InMemorySessionStore() });
    const client = await new RawClient().open(pod.url);
    const session: Record<string, string> = body.includes('"initialize"')
      ? {}
      : { 'mcp-session-id': client.sessionId! };
    const response = await fetch(pod.url, { method: 'POST', headers: { ...headers, ...session }, body });
    expect([response.status, response.headers.get('retry-after')]).toEqual([400, null]);
    expect((await client.request(pod.url, 'ping')).status).toBe(200);
  });
});

test.each(['memory', 'external'] as const)(
  'a tool call may have a parameter uri of any kind (%s mode)',
  async sessionStorageMode => {
    const pod = await startPodForTest({ sessionStorageMode, sessionStore: new InMemorySessionStore() });
    const client = await new RawClient().open(pod.url);
    const params = { name: 'echo', arguments: { text: 'x' }, uri: { toString: 1 } };
    expect((await client.request(pod.url, 'tools/call', params)).status).toBe(200);
  }
);
