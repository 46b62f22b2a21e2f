import { RawClient } from '../../support/clients/rawClient.js';
import { MapSessionStore } from '../../support/stores/mapSessionStore.js';
import type { WhoAmI } from '../../support/pods/probeServer.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

let records: Map<string, string>;
let pods: LocalPod[];
let first: LocalPod;
let second: LocalPod;
let third: LocalPod;

beforeEach(async () => {
  records = new Map();
  pods = await Promise.all(
    [1, 2, 3].map(() => LocalPod.start({ sessionStore: new MapSessionStore(records), storeTimeoutMs: 300 }))
  );
  [first, second, third] = pods as [LocalPod, LocalPod, LocalPod];
});
afterEach(() => Promise.all(pods.map(pod => pod.stop())));

const whoAmI = async (pod: LocalPod, client: RawClient) =>
  JSON.parse(String(await client.callTool(pod.url, 'whoami'))) as WhoAmI;

test('a store with five methods over a map serves handshake, state, recovery and DELETE on any pod', async () => {
  const client = await new RawClient().open(first.url, {
    capabilities: { sampling: {} },
    clientInfo: { name: 'five', version: '5' }
  });
  const answers = await Promise.all(Array.from({ length: 20 }, () => whoAmI(second, client)));
  for (const told of answers) expect(told).toMatchObject({ client: { name: 'five' }, capabilities: { sampling: {} } });
  expect(second.count('factory')).toBe(1);
  expect(second.count('onsessionrecovered')).toBe(1);

  await client.request(second.url, 'resources/subscribe', { uri: 'test://a' });
  await client.request(first.url, 'resources/subscribe', { uri: 'test://b' });
  await client.request(third.url, 'resources/unsubscribe', { uri: 'test://a' });
  for (const pod of pods) expect((await whoAmI(pod, client)).subscriptions).toEqual(['test://b']);

  await client.request(third.url, 'logging/setLevel', { level: 'emergency' });
  const stream = await client.stream(first.url);
  await client.callTool(first.url, 'log', { text: 'x' });
  await until('the emergency has arrived', () => stream.messages.length > 0);
  expect(stream.messages.map(({ params }) => params?.level)).toEqual(['emergency']);
  stream.close();

  expect((await client.delete(second.url)).status).toBe(200);
  for (const pod of pods) expect((await client.request(pod.url, 'ping')).status).toBe(404);
  expect(records.size).toBe(0);
  expect(pods.map(({ handler }) => handler.liveSessions)).toEqual([0, 0, 0]);
});

test('a pod that has recovered the session before the end of the handshake learns of it with the next request', async () => {
  const client = new RawClient();
  await client.initialize(first.url);
  expect((await client.request(second.url, 'ping')).status).toBe(200);
  await client.notify(first.url, 'notifications/initialized');
  for (const pod of [second, first]) {
    for (let i = 0; i < 2; i++) expect((await client.request(pod.url, 'ping')).status).toBe(200);
    expect(pod.count('oninitialized', client.sessionId)).toBe(1);
  }
});

test('a session in a map survives the end of every pod', async () => {
  const client = await new RawClient().open(first.url);
  await Promise.all(pods.map(pod => pod.stop()));
  pods = [await LocalPod.start({ sessionStore: new MapSessionStore(records) }, 'McpServer')];
  expect(await client.callTool(pods[0]!.url, 'echo', { text: 'x' })).toBe('x');
});

test('a record with the five fields alone, written by another program, is a session', async () => {
  const store = new MapSessionStore(records);
  const now = Date.now();
  await store.storeSession('bare', { sessionId: 'bare', initialized: true, createdAt: now, lastActivity: now });
  const client = new RawClient({ 'mcp-session-id': 'bare' });
  expect(await client.callTool(first.url, 'echo', { text: 'x' })).toBe('x');
  expect((await store.getSession('bare'))!.lastActivity).toBeGreaterThanOrEqual(now);
});

describe('a store', () => {
  const misbehaviours: [string, Partial<MapSessionStore>][] = [
    ['rejects', { getSession: () => Promise.reject(new Error('down')) }],
    [
      'throws before it has begun',
      {
        getSession: () => {
          throw new Error('down');
        }
      }
    ],
    ['never answers', { getSession: () => new Promise(() => {}) }],
    ['cannot refresh what it has read', { updateSessionActivity: () => Promise.reject(new Error('down')) }]
  ];

  test.each(misbehaviours)(
    'that %s is unavailable, and its sessions do not count as missing',
    async (_how, methods) => {
      const client = await new RawClient().open(first.url);
      const sessionStore = Object.assign(new MapSessionStore(records), methods);
      const pod = await LocalPod.start({ sessionStore, storeTimeoutMs: 100 });
      pods.push(pod);
      const { status, headers, messages, ms } = await client.request(pod.url, 'ping');
      expect([status, headers.get('retry-after'), messages[0]?.error?.code]).toEqual([503, '1', -32000]);
      expect(ms).toBeLessThan(1000);
      expect(pod.errors).toEqual([expect.stringContaining('SessionStoreUnavailableError')]);
    }
  );

  test.each([
    ['of another session', { sessionId: 'another' }],
    ['with subscriptions that are no list', { metadata: { mcp: { subscriptions: 'test://a' } } }],
    ['with metadata that is no object', { metadata: 'text' }],
    ['with a handshake that is no object', { metadata: { mcp: { initialize: [] } } }]
  ])('that returns a record %s causes 503, and the record stays', async (_how, damage) => {
    const client = await new RawClient().open(first.url);
    const sessionId = client.sessionId!;
    const damaged = JSON.stringify({ ...(JSON.parse(records.get(sessionId)!) as object), ...damage });
    records.set(sessionId, damaged);
    const { status, messages } = await client.request(second.url, 'ping');
    expect([status, messages[0]?.error?.message]).toEqual([503, 'Service Unavailable: Session cannot be read']);
    expect(JSON.parse(records.get(sessionId)!)).toMatchObject(damage);
    expect(second.errors.join()).not.toContain(sessionId);
  });

  test('that answers a read late does not restore a session that was deleted meanwhile', async () => {
    const client = await new RawClient().open(first.url);
    const sessionStore = new MapSessionStore(records);
    const pod = await LocalPod.start({ sessionStore, storeTimeoutMs: 100 });
    pods.push(pod);
    expect(await client.callTool(pod.url, 'echo', { text: 'x' })).toBe('x');

    const read = sessionStore.getSession.bind(sessionStore);
    let isLate = false;
    let goOn = (): void => {};
    const blocked = new Promise<void>(resolve => (goOn = resolve));
    sessionStore.getSession = async sessionId => {
      const record = await read(sessionId);
      if (isLate || pod.count('subscribe') === 0) return record;
      // Read to be written back, now that the server has accepted the change.
      isLate = true;
      await blocked;
      return record;
    };
    expect((await client.request(pod.url, 'resources/subscribe', { uri: 'test://late' })).status).toBe(200);
    expect(isLate).toBe(true);
    expect((await client.delete(pod.url)).status).toBe(200);
    goOn();
    await new Promise(setImmediate);
    expect(records.size).toBe(0);
  });
});
