import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import { CAPABILITIES } from '../../support/clients/answeringClient.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { useTwoPods } from '../../support/pods/twoPods.js';
import { spentOn } from '../../support/servers/redisStats.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

const pods = useTwoPods({ idleTimeoutMs: 0 });

/** A session that is live on both pods. */
async function openOnBoth(): Promise<RawClient> {
  const client = await new RawClient().open(pods.first.url, { capabilities: CAPABILITIES });
  await client.request(pods.second.url, 'ping');
  return client;
}

/** How often something is published meanwhile. */
async function publishedBy(work: () => Promise<unknown>): Promise<number> {
  return (await spentOn(pods.admin, work)).commands.publish ?? 0;
}

/** A question that the first pod has asked; `answered` settles when its tool has the answer. */
async function askOnFirst(client: RawClient) {
  const { stream } = await client.followTool(pods.first.url, 'ask', { text: 'well?' });
  await stream.until(() => stream.messages.length > 0);
  return { id: stream.messages[0]!.id, answered: () => stream.untilEnded() };
}

const answer = (id: unknown) => ({ jsonrpc: '2.0', id, result: { action: 'decline' } });

test('a request that concerns one pod publishes nothing', async () => {
  const client = await openOnBoth();
  const stream = await client.stream(pods.first.url);
  const { id, answered } = await askOnFirst(client);
  for (const work of [
    () => Promise.all(Array.from({ length: 50 }, () => client.callTool(pods.first.url, 'echo', { text: 'x' }))),
    () => Promise.all([pods.first, pods.second].map(pod => client.callTool(pod.url, 'echo', { text: 'x' }))),
    () => client.request(pods.first.url, 'tools/call', { name: 'progress', _meta: { progressToken: 1 } }),
    () => client.callTool(pods.first.url, 'log', { text: 'to the stream that is here' }),
    () => client.notify(pods.first.url, 'notifications/progress', { progressToken: id, progress: 1 }),
    () => client.post(pods.first.url, answer(id)).then(answered)
  ]) {
    expect(await publishedBy(work)).toBe(0);
  }
  stream.close();
});

test('a message that the client sends to the wrong pod is published once', async () => {
  const client = await openOnBoth();
  const hanging = await client.followTool(pods.first.url, 'hang');
  const { id, answered } = await askOnFirst(client);
  const cancel = () => client.notify(pods.second.url, 'notifications/cancelled', { requestId: hanging.id });
  for (const work of [
    () => client.notify(pods.second.url, 'notifications/progress', { progressToken: id, progress: 1 }),
    () => client.post(pods.second.url, answer(id)).then(answered),
    () => client.post(pods.second.url, answer(id)),
    () => cancel().then(() => until('it has stopped', () => pods.first.count('aborted', client.sessionId) === 1)),
    () => client.notify(pods.second.url, 'notifications/roots/list_changed')
  ]) {
    expect(await publishedBy(work)).toBe(1);
  }
  hanging.stream.drop();
});

test('a message for a standalone stream that another pod holds is published once, and acknowledged at most once', async () => {
  const client = await openOnBoth();
  const stream = await client.stream(pods.first.url);
  const log = async () => {
    await client.callTool(pods.second.url, 'log', { text: 'x' });
    await until('all has arrived', () => stream.messages.length === 5);
  };
  expect(await publishedBy(log)).toBeLessThanOrEqual(2 * 5);
  stream.close();
});

test('opening a stream, a change and the end of a session are each published once', async () => {
  const client = await openOnBoth();
  for (const work of [
    () => client.stream(pods.first.url),
    () => client.stream(pods.second.url),
    () => client.request(pods.first.url, 'logging/setLevel', { level: 'error' }),
    () => client.request(pods.first.url, 'resources/subscribe', { uri: 'file:///a' }),
    () => client.request(pods.second.url, 'resources/unsubscribe', { uri: 'file:///a' }),
    () => client.delete(pods.second.url)
  ]) {
    expect(await publishedBy(work)).toBe(1);
  }
});

test('a handshake publishes its end, and a session that is forgotten nothing', async () => {
  const client = new RawClient();
  expect(await publishedBy(() => client.initialize(pods.first.url))).toBe(0);
  expect(await publishedBy(() => client.notify(pods.first.url, 'notifications/initialized'))).toBe(1);
  expect(await publishedBy(() => client.request(pods.second.url, 'ping'))).toBe(0);
  const pod = await LocalPod.start({ sessionStore: new RedisSessionStore({ redis: pods.clients[0]! }) });
  await client.request(pod.url, 'ping');
  expect(await publishedBy(() => pod.stop())).toBe(0);
});
