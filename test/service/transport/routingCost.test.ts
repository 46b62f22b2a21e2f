import { Redis } from 'ioredis';
import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import { CAPABILITIES } from '../../support/clients/answeringClient.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { spentOn } from '../../support/servers/redisStats.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

let server: RedisServer;
let admin: Redis;
let clients: Redis[];
let first: LocalPod;
let second: LocalPod;

beforeAll(async () => {
  server = await startRedisServer();
  admin = new Redis(server.url);
  clients = [new Redis(server.url), new Redis(server.url)];
  [first, second] = (await Promise.all(
    clients.map(redis => LocalPod.start({ sessionStore: new RedisSessionStore({ redis }), idleTimeoutMs: 0 }))
  )) as [LocalPod, LocalPod];
});
afterAll(async () => {
  await Promise.all([first.stop(), second.stop()]);
  [admin, ...clients].forEach(client => client.disconnect());
  await server.stop();
});

/** A session that is live on both pods. */
async function openOnBoth(): Promise<RawClient> {
  const client = await new RawClient().open(first.url, { capabilities: CAPABILITIES });
  await client.request(second.url, 'ping');
  return client;
}

/** How often something is published meanwhile. */
async function publishedBy(work: () => Promise<unknown>): Promise<number> {
  return (await spentOn(admin, work)).commands.publish ?? 0;
}

/** A question that the first pod has asked; `answered` settles when its tool has the answer. */
async function askOnFirst(client: RawClient) {
  const { stream } = await client.followTool(first.url, 'ask', { text: 'well?' });
  await stream.until(() => stream.messages.length > 0);
  return { id: stream.messages[0]!.id, answered: () => stream.untilEnded() };
}

const answer = (id: unknown) => ({ jsonrpc: '2.0', id, result: { action: 'decline' } });

test('what needs no other pod publishes nothing', async () => {
  const client = await openOnBoth();
  const stream = await client.stream(first.url);
  const { id, answered } = await askOnFirst(client);
  for (const work of [
    () => Promise.all(Array.from({ length: 50 }, () => client.callTool(first.url, 'echo', { text: 'x' }))),
    () => Promise.all([first, second].map(pod => client.callTool(pod.url, 'echo', { text: 'x' }))),
    () => client.request(first.url, 'tools/call', { name: 'progress', _meta: { progressToken: 1 } }),
    () => client.callTool(first.url, 'log', { text: 'to the stream that is here' }),
    () => client.notify(first.url, 'notifications/progress', { progressToken: id, progress: 1 }),
    () => client.post(first.url, answer(id)).then(answered)
  ]) {
    expect(await publishedBy(work)).toBe(0);
  }
  stream.close();
});

test('what the client sends to the wrong pod is published once', async () => {
  const client = await openOnBoth();
  const hanging = await client.followTool(first.url, 'hang');
  const { id, answered } = await askOnFirst(client);
  const cancel = () => client.notify(second.url, 'notifications/cancelled', { requestId: hanging.id });
  for (const work of [
    () => client.notify(second.url, 'notifications/progress', { progressToken: id, progress: 1 }),
    () => client.post(second.url, answer(id)).then(answered),
    () => client.post(second.url, answer(id)),
    () => cancel().then(() => until('it has stopped', () => first.count('aborted', client.sessionId) === 1)),
    () => client.notify(second.url, 'notifications/roots/list_changed')
  ]) {
    expect(await publishedBy(work)).toBe(1);
  }
  hanging.stream.drop();
});

test('a message for a standalone stream that another pod holds is published once, and acknowledged at most once', async () => {
  const client = await openOnBoth();
  const stream = await client.stream(first.url);
  const log = async () => {
    await client.callTool(second.url, 'log', { text: 'x' });
    await until('all has arrived', () => stream.messages.length === 5);
  };
  expect(await publishedBy(log)).toBeLessThanOrEqual(2 * 5);
  stream.close();
});

test('a stream that opens, a change and the end of a session are published once', async () => {
  const client = await openOnBoth();
  for (const work of [
    () => client.stream(first.url),
    () => client.stream(second.url),
    () => client.request(first.url, 'logging/setLevel', { level: 'error' }),
    () => client.request(first.url, 'resources/subscribe', { uri: 'file:///a' }),
    () => client.request(second.url, 'resources/unsubscribe', { uri: 'file:///a' }),
    () => client.delete(second.url)
  ]) {
    expect(await publishedBy(work)).toBe(1);
  }
});

test('a handshake publishes its end, and a session that is forgotten nothing', async () => {
  const client = new RawClient();
  expect(await publishedBy(() => client.initialize(first.url))).toBe(0);
  expect(await publishedBy(() => client.notify(first.url, 'notifications/initialized'))).toBe(1);
  expect(await publishedBy(() => client.request(second.url, 'ping'))).toBe(0);
  const pod = await LocalPod.start({ sessionStore: new RedisSessionStore({ redis: clients[0]! }) });
  await client.request(pod.url, 'ping');
  expect(await publishedBy(() => pod.stop())).toBe(0);
});
