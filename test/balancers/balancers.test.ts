import { AccountingClient } from '../support/clients/accountingClient.js';
import { EventStream } from '../support/clients/eventStream.js';
import { startPod, startPods, type Pod } from '../support/pods/process.js';
import { RawClient } from '../support/clients/rawClient.js';
import { startRedisServer, type RedisServer } from '../support/servers/redisServer.js';
import { until } from '../support/until.js';
import { startHaproxy, startNginx, type Balancer } from './balancer.js';

const podScript = 'test/support/pods/busyPod.ts';
let redis: RedisServer;
let pods: Pod[];
const balancers: Balancer[] = [];

beforeAll(async () => {
  redis = await startRedisServer();
  pods = await startPods(3, podScript, ['--redis', redis.url]);
});
afterAll(async () => {
  await Promise.all(balancers.map(balancer => balancer.stop()));
  await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
  await redis.stop();
});

const portsOf = (of: Pod[]) => of.map(pod => pod.port);
const median = (values: number[]) => [...values].sort((a, b) => a - b)[values.length >> 1]!;

async function balanced(start: (ports: number[]) => Promise<Balancer>, over = pods): Promise<string> {
  const balancer = await start(portsOf(over));
  balancers.push(balancer);
  return `${balancer.origin}/mcp`;
}

/** Milliseconds that events are under way which a tool sends every 50 ms. */
async function delaysThrough(url: string): Promise<number[]> {
  const client = await AccountingClient.connect('prompt', url);
  await client.call('beat', { count: 20, everyMs: 50 });
  await client.leave();
  expect(client.delays).toHaveLength(20);
  return client.delays;
}

describe.each([
  ['haproxy', startHaproxy],
  ['nginx', startNginx]
])('through %s', (_name, start) => {
  let url: string;
  beforeAll(async () => void (url = await balanced(start)));

  test("the SDK's client uses all pods as if they were one", async () => {
    const client = await AccountingClient.connect('all', url);
    const pids = new Set<number | undefined>();
    for (let i = 0; i < 6; i++) pids.add((await client.call('work')).answer?.pid);
    expect(pids).toEqual(new Set(pods.map(pod => pod.pid)));

    for (let i = 0; i < 4; i++) {
      const { token, answer } = await client.call('ask');
      expect(answer?.said).toEqual({ answer: `all says ${token}` });
    }
    const { token } = await client.call('steps', { count: 10, everyMs: 5 });
    expect(client.progress.get(token)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    await until('it listens', () => client.streams > 0);
    for (let i = 0; i < 4; i++) await client.call('tell', { count: 3 });
    await until('everything was heard', () => client.heard.size === 12);
    for (let i = 0; i < 3; i++) expect((await client.call('poll', { ms: 250 })).outcome).toBe('answered');

    expect(client.calls.filter(({ outcome }) => outcome !== 'answered')).toEqual([]);
    expect([client.doubled, client.secondAnswers, client.foreign, client.errors]).toEqual([[], [], [], []]);
    const { sessionId } = client;
    await client.leave();
    const late = new RawClient({ 'mcp-session-id': sessionId! });
    for (let i = 0; i < 3; i++) expect((await late.request(url, 'ping')).status).toBe(404);
  });

  test('events arrive as soon as they are sent', async () => {
    expect(median(await delaysThrough(url))).toBeLessThan(50);
  });

  test('a stream that was cut resumes without a gap', async () => {
    const client = await new RawClient().open(url);
    const { stream: first } = await client.followTool(url, 'beat', { token: 'x', count: 20, everyMs: 30 });
    await first.until(() => first.messages.length >= 5);
    first.drop();
    const headers = { 'mcp-session-id': client.sessionId!, 'mcp-protocol-version': client.protocolVersion! };
    const second = await EventStream.open(url, {
      headers: { ...headers, accept: 'text/event-stream', 'last-event-id': first.lastEventId! }
    });
    await second.untilEnded();
    const tokens = [first, second].flatMap(({ messages }) =>
      messages.flatMap(({ params }) => (params?.data as { token: string } | undefined)?.token ?? [])
    );
    expect(tokens).toEqual(Array.from({ length: 20 }, (_, i) => `x.${i}`));
    expect(second.messages.at(-1)?.result).toBeDefined();
  });

  test('a client that lost its GET stream reopens it at once, even if the balancer has not closed the old one', async () => {
    const client = await new RawClient().open(url);
    for (let i = 0; i < 4; i++) {
      const stream = await client.stream(url);
      expect(stream.status).toBe(200);
      await client.callTool(url, 'tell', { token: `t${i}` });
      await until('the notification is heard', () => stream.messages.length === 1);
      stream.close();
    }
  });

  test('after a pod is killed its open requests end with an error, and everything else goes on', async () => {
    const doomed = await startPod(podScript, ['--redis', redis.url]);
    const through = await balanced(start, [pods[0]!, pods[1]!, doomed]);
    const client = await AccountingClient.connect('hit', through);
    try {
      // Once it has heard something, the standalone stream has a cursor.
      await until('it listens', () => client.streams > 0);
      await client.call('tell');
      await until('the first is heard', () => client.heard.size === 1);
      const asking = Array.from({ length: 6 }, () => client.call('work', { ms: 1500 }));
      await until('all have begun', () => client.calls.every(({ hasCursor }) => hasCursor));
      await doomed.stop('SIGKILL');
      const outcomes = (await Promise.all(asking)).map(({ outcome }) => outcome).sort();
      expect(outcomes).toEqual(['answered', 'answered', 'answered', 'answered', 'gone', 'gone']);

      for (let i = 0; i < 4; i++) expect((await client.call('tell', { count: 3 })).outcome).toBe('answered');
      for (let i = 0; i < 4; i++) expect((await client.call('ask')).answer?.said).toHaveProperty('answer');
      await until('everything was heard', () => client.heard.size === 13);
      expect([client.doubled, client.secondAnswers, client.foreign]).toEqual([[], [], []]);
      // The standalone stream may have been on the pod, and nothing else was to be resumed more than once.
      expect(client.streams).toBeLessThanOrEqual(4);
      await client.leave();
    } finally {
      await client.close();
      await doomed.stop('SIGKILL');
    }
  });
});

describe('without the settings that the README asks for', () => {
  test('haproxy delays small events without option http-no-delay', async () => {
    const url = await balanced(ports => startHaproxy(ports, []));
    expect(median(await delaysThrough(url))).toBeGreaterThan(50);
  });

  test('nginx buffers events if it ignores the header X-Accel-Buffering', async () => {
    const url = await balanced(ports => startNginx(ports, ['proxy_ignore_headers X-Accel-Buffering;']));
    expect(median(await delaysThrough(url))).toBeGreaterThan(150);
  });

  test("a client behind haproxy is refused its GET stream with standaloneStream 'reject'", async () => {
    const pod = await startPod(podScript, ['--redis', redis.url, '--reject']);
    try {
      const url = await balanced(startHaproxy, [pod]);
      const client = await new RawClient().open(url);
      const stream = await client.stream(url);
      stream.close();
      expect((await client.stream(url)).status).toBe(409);
    } finally {
      await pod.stop('SIGKILL');
    }
  });
});
