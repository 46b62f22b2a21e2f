import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { InMemorySessionStore, RedisSessionStore, StreamableHTTPServerTransport } from 'mcp-sdk-anypod/server';
import { listen } from '../../support/servers/listen.js';
import { Journal, ProbeServer } from '../../support/pods/probeServer.js';
import { RawClient, type Answer } from '../../support/clients/rawClient.js';
import { useTwoPods } from '../../support/pods/twoPods.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

const storeTimeoutMs = 600;
/** What no answer may exceed while the store cannot answer. */
const patienceMs = storeTimeoutMs + 1000;

const pods = useTwoPods({ store: { keyPrefix: '' }, storeTimeoutMs, overProxy: true });

/** Also what a test that failed has left behind. */
afterEach(async () => {
  pods.proxy.delay(0);
  pods.proxy.restore();
  pods.server.resume();
  if (pods.server.pid === undefined) await pods.server.restart();
  await pods.admin.config('SET', 'maxmemory', '0');
});

function connect(port: number): Redis {
  return new Redis(port, '127.0.0.1').on('error', () => {});
}

const open = () => new RawClient().open(pods.first.url);
const echo = (pod: LocalPod, client: RawClient) => client.callTool(pod.url, 'echo', { text: 'x' });

/** While the store is not back yet, a pod may say 503, and nothing else but the answer. */
async function untilAnswered(expected: string | number, pod: LocalPod, client: RawClient): Promise<void> {
  await until('the store has come back', async () => {
    const answer = await echo(pod, client);
    if (answer !== 503) expect(answer).toBe(expected);
    return answer === expected;
  });
}

async function untilServedAgain(client: RawClient): Promise<void> {
  for (const pod of [pods.first, pods.second]) await untilAnswered('x', pod, client);
}

async function untilRedisIsBack(): Promise<void> {
  for (const { url } of [pods.first, pods.second]) {
    await until('Redis is back', async () => (await new RawClient().initialize(url)).status === 200);
  }
}

function expectNotNow(answer: Answer, what: string): void {
  const { status, headers, messages, ms } = answer;
  expect({ what, status, retryAfter: headers.get('retry-after'), error: messages[0]?.error }).toEqual({
    what,
    status: 503,
    retryAfter: '1',
    error: { code: -32000, message: 'Service Unavailable: Session store is not available' }
  });
  expect(headers.get('mcp-session-id')).toBeNull();
  expect(ms).toBeLessThan(patienceMs);
}

/** Ways in which the store cannot answer, and what brings it back. */
const outages = [
  { name: 'stands still', begin: () => pods.server.pause(), end: () => pods.server.resume() },
  { name: 'answers too late', begin: () => pods.proxy.delay(2 * storeTimeoutMs), end: () => pods.proxy.delay(0) },
  { name: 'cannot be reached', begin: () => pods.proxy.cut(), end: () => pods.proxy.restore() },
  {
    name: 'is killed and comes back empty',
    begin: () => pods.server.kill(),
    end: () => pods.server.restart(),
    empties: true
  }
];

describe.each(outages)('while Redis $name', ({ begin, end, empties = false }) => {
  // Promise: L3, F3
  test('every request gets 503 in time and no session is lost', async () => {
    const [live, elsewhere, ended] = [await open(), await open(), await open()];
    const stranger = new RawClient({ 'mcp-session-id': 'unknown' });
    const newcomer = new RawClient();
    const made = pods.first.handler.liveSessions;
    const dispatched = pods.first.count('message');
    const opened = pods.first.count('onsessioninitialized');

    await begin();
    const answers = {
      'a call where the session is live': live.request(pods.first.url, 'tools/call', { name: 'echo' }),
      'a call where it would have to be recovered': elsewhere.request(pods.second.url, 'ping'),
      'a notification': live.notify(pods.first.url, 'notifications/roots/list_changed'),
      'a log level': live.request(pods.first.url, 'logging/setLevel', { level: 'error' }),
      'a DELETE': ended.delete(pods.first.url),
      'an unknown session': stranger.request(pods.first.url, 'ping'),
      'an unknown session with a DELETE': stranger.delete(pods.second.url),
      'an initialize': newcomer.initialize(pods.first.url),
      'an initialize with a stale id': stranger.initialize(pods.second.url)
    };
    for (const [what, answer] of Object.entries(answers)) expectNotNow(await answer, what);
    expect((await live.stream(pods.first.url)).status).toBe(503);
    expect(pods.first.count('message')).toBe(dispatched);
    expect(pods.first.count('onsessioninitialized')).toBe(opened);
    expect(pods.first.handler.liveSessions).toBe(made);
    expect(newcomer.sessionId).toBeUndefined();

    await end();
    if (empties) {
      // The store has answered: there is no such session any more.
      await untilAnswered(404, pods.first, live);
      await untilAnswered(404, pods.second, elsewhere);
    } else {
      await untilServedAgain(live);
      await untilServedAgain(elsewhere);
    }
    await untilRedisIsBack();
  });

  test.each([
    ['that has sessions', true],
    ['that never had one', false]
  ])('a pod %s can leave', async (_which, hadSessions) => {
    const redis = connect(pods.proxy.port);
    const pod = await LocalPod.start({ sessionStore: new RedisSessionStore({ redis, keyPrefix: '' }), storeTimeoutMs });
    const client = new RawClient();
    if (hadSessions) await client.open(pod.url);
    await begin();
    if (!hadSessions) expect((await client.initialize(pod.url)).status).toBe(503);
    const closed = pod.handler.close({ drainMs: 0 }).then(() => 'closed');
    expect(await Promise.race([closed, delay(10_000, 'hangs', { ref: false })])).toBe('closed');
    await end();
    await pod.stop();
    redis.disconnect();
    await untilRedisIsBack();
  });

  // Promise: L7
  test('a tool that was called before the outage answers', async () => {
    const client = await open();
    const calls = pods.first.count('tool');
    const slow = client.request(pods.first.url, 'tools/call', { name: 'slow', arguments: { ms: 300 } });
    await until('the tool runs', () => pods.first.count('tool') > calls);
    await begin();
    const { status, messages, ms } = await slow;
    expect([status, messages[0]?.result?.content]).toEqual([200, [{ type: 'text', text: 'done' }]]);
    expect(ms).toBeLessThan(patienceMs);
    await end();
    await untilRedisIsBack();
  });
});

describe('while Redis is full', () => {
  const fill = () => pods.admin.config('SET', 'maxmemory', '1');
  const empty = () => pods.admin.config('SET', 'maxmemory', '0');

  // Promise: L4, F3
  test('open sessions are served on every pod, and no session can be opened', async () => {
    const client = await open();
    const halfOpen = new RawClient();
    await halfOpen.initialize(pods.first.url);
    const dispatched = pods.first.count('message');
    await fill();
    expectNotNow(await new RawClient().initialize(pods.first.url), 'an initialize');
    expectNotNow(await halfOpen.notify(pods.first.url, 'notifications/initialized'), 'the end of a handshake');
    expect(pods.first.count('message')).toBe(dispatched);

    expect(await echo(pods.first, client)).toBe('x');
    expect(await echo(pods.second, client)).toBe('x');
    await empty();
    expect((await halfOpen.notify(pods.first.url, 'notifications/initialized')).status).toBe(202);
    expect(await echo(pods.second, halfOpen)).toBe('x');
  });

  test('a session can be deleted', async () => {
    const client = await open();
    await fill();
    expect((await client.delete(pods.second.url)).status).toBe(200);
    expect(await echo(pods.first, client)).toBe(404);
  });

  test('a change that the server accepted is answered, and stored after Redis has room', async () => {
    const client = await open();
    await echo(pods.second, client);
    await fill();
    const reported = pods.first.errors.length;
    for (const [method, params] of [
      ['logging/setLevel', { level: 'error' }],
      ['resources/subscribe', { uri: 'file:///kept' }]
    ] as const) {
      const { status, messages, ms } = await client.request(pods.first.url, method, params);
      expect([status, messages[0]?.result]).toEqual([200, {}]);
      expect(ms).toBeLessThan(patienceMs);
    }
    const reports = pods.first.errors.slice(reported);
    expect(reports.length).toBeGreaterThanOrEqual(2);
    for (const report of reports) expect(report).toMatch(/patchSession failed .* OOM/);

    await empty();
    expect(await echo(pods.first, client)).toBe('x');
    expect(JSON.parse(String(await client.callTool(pods.second.url, 'whoami')))).toMatchObject({
      subscriptions: ['file:///kept']
    });
    expect(await pods.admin.hget(`{${client.sessionId}}:record`, 'l')).toBe('error');
  });
});

test('logging/setLevel is answered if the store dies between the read and the write', async () => {
  const client = await open();
  // The pod has looked when the server sees the message.
  const level = client.request(pods.first.url, 'logging/setLevel', { level: 'error' });
  const seen = () =>
    pods.first.journal.entries.some(e => e.sessionId === client.sessionId && e.name === 'logging/setLevel');
  for (const deadline = Date.now() + 5_000; !seen() && Date.now() < deadline;) await new Promise(setImmediate);
  expect(seen()).toBe(true);
  pods.server.pause();
  const { status, messages, ms } = await level;
  expect([status, messages[0]?.result]).toEqual([200, {}]);
  expect(ms).toBeLessThan(patienceMs);
  pods.server.resume();
  await untilServedAgain(client);
});

// Fails: what could not be stored is tried again before each next request, one change after the other.
test('a store that accepts no changes delays a request by one change at most', async () => {
  const sessionStore = new InMemorySessionStore();
  const pod = await LocalPod.start({ sessionStore, storeTimeoutMs: 50 });
  try {
    const client = await new RawClient().open(pod.url);
    sessionStore.patchSession = () => new Promise(() => {});
    for (let i = 0; i < 8; i++) {
      const { status, ms } = await client.request(pod.url, 'resources/subscribe', { uri: `test://${i}` });
      expect(status).toBe(200);
      expect(ms).toBeLessThan(250);
    }
  } finally {
    await pod.stop();
  }
});

// Promise: L7, F6
test('an event store that does not answer delays an answer once, not once for each event', async () => {
  const never = () => new Promise<never>(() => {});
  const eventStore = { storeEvent: never, replayEventsAfter: never };
  const pod = await LocalPod.start({ sessionStore: new InMemorySessionStore(), eventStore, storeTimeoutMs: 150 });
  try {
    const client = await new RawClient().open(pod.url);
    const params = { name: 'progress', arguments: { steps: 20 }, _meta: { progressToken: 'p' } };
    const { messages, ms } = await client.request(pod.url, 'tools/call', params);
    expect(messages).toHaveLength(21);
    expect(ms).toBeLessThan(1500);
  } finally {
    await pod.stop();
  }
});

// Promise: F4
test('an unreadable record is answered 503, reported without its id, and kept', async () => {
  const client = await open();
  await pods.admin.hset(`{${client.sessionId}}:record`, 'm', '{"mcp": garbage');
  const made = pods.second.count('factory');
  for (const ask of [
    () => client.request(pods.second.url, 'ping'),
    () => client.delete(pods.second.url),
    () => new RawClient({ 'mcp-session-id': client.sessionId! }).initialize(pods.second.url)
  ]) {
    const { status, headers, messages } = await ask();
    expect([status, headers.get('retry-after'), messages[0]?.error]).toEqual([
      503,
      '1',
      { code: -32000, message: 'Service Unavailable: Session cannot be read' }
    ]);
    expect(pods.second.errors.at(-1)).toContain('SessionRecordUnreadableError');
  }
  expect(pods.second.count('factory')).toBe(made);
  expect(await pods.admin.hget(`{${client.sessionId}}:record`, 'm')).toBe('{"mcp": garbage');
});

test('a transport that is wired by hand answers 503 while the store is down, and serves after the outage', async () => {
  const sessionStore = new RedisSessionStore({ redis: pods.clients[0]!, keyPrefix: '' });
  const start = async () => {
    const transport = new StreamableHTTPServerTransport({ sessionStore, storeTimeoutMs });
    const probe = new ProbeServer(new Journal(), 'Server');
    await probe.connect(transport);
    const { origin: url, stop } = await listen((req, res) => void transport.handleRequest(req, res));
    return { transport, url, stop: () => Promise.all([stop(), probe.close()]) };
  };
  const [opening, recovering] = [await start(), await start()];
  const [newcomer, known] = [new RawClient(), await open()];

  pods.server.pause();
  expectNotNow(await newcomer.initialize(opening.url), 'an initialize');
  expectNotNow(await known.request(recovering.url, 'ping'), 'a recovery');
  expect([opening.transport.sessionId, recovering.transport.sessionId]).toEqual([undefined, undefined]);
  pods.server.resume();

  expect(await (await newcomer.open(opening.url)).callTool(opening.url, 'echo', { text: 'x' })).toBe('x');
  expect(await known.callTool(recovering.url, 'echo', { text: 'x' })).toBe('x');
  await Promise.all([opening.stop(), recovering.stop()]);
  await sessionStore.close();
});

test('a stream stays open through an outage, and its session stays in the store', async () => {
  const redis = connect(pods.proxy.port);
  const sessionStore = new RedisSessionStore({ redis, keyPrefix: 'brief:', ttlSeconds: 3 });
  const pod = await LocalPod.start({ sessionStore, storeTimeoutMs: 200 });
  const client = await new RawClient().open(pod.url);
  const stream = await client.stream(pod.url);
  pods.server.pause();
  await until('the pod has missed the store', () => pod.errors.some(error => error.includes('refreshSessions')));
  pods.server.resume();
  const key = `brief:{${client.sessionId}}`;
  await until('the pod has reached the store again', async () => (await pods.admin.pttl(key)) > 2_500);
  expect(await client.callTool(pod.url, 'log', { text: 'x' })).toBe('logged');
  await until('the stream has brought it', () => stream.messages.length > 0);
  stream.close();
  await pod.stop();
  redis.disconnect();
});

test('no error report about a Redis outage contains a session id', () => {
  const sessionIds = pods.first.journal.entries.flatMap(({ sessionId }) => sessionId ?? []);
  const reports = [...pods.first.errors, ...pods.second.errors].join('\n');
  expect(reports.length).toBeGreaterThan(0);
  expect(sessionIds.filter(sessionId => reports.includes(sessionId))).toEqual([]);
});
