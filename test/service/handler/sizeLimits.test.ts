import { Redis } from 'ioredis';
import { type McpHandlerOptions, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';
import { type LocalPod, startPodForTest } from '../../support/pods/localPod.js';

const redis = useRedis();

function startPod(options: McpHandlerOptions = {}): Promise<LocalPod> {
  const client = new Redis(redis.server.url);
  stopAfterTest(() => void client.disconnect());
  return startPodForTest({ sessionStore: new RedisSessionStore({ redis: client }), ...options });
}

const MB = 1024 * 1024;

test('an initialize with a large handshake is answered 413, and leaves nothing in Redis', async () => {
  const pod = await startPod();
  const before = await redis.client.dbsize();
  const clientInfo = { name: 'large', version: '1', title: 'x'.repeat(2 * MB) };
  const answer = await new RawClient().initialize(pod.url, { clientInfo });
  expect(answer.status).toBe(413);
  expect(answer.messages[0]?.error?.message).toBe('Payload Too Large: The handshake must not exceed 65536 bytes');
  expect(await redis.client.dbsize()).toBe(before);
  expect(pod.handler.liveSessions).toBe(0);

  const within = await new RawClient().open(pod.url, { clientInfo: { ...clientInfo, title: 'x'.repeat(60_000) } });
  expect(await within.callTool(pod.url, 'echo', { text: 'x' })).toBe('x');
});

test('a subscription is refused with -32602 when the URIs of the session take too many bytes', async () => {
  const pod = await startPod({ maxSubscriptionBytes: 3000 });
  const client = await new RawClient().open(pod.url);
  const uri = (name: string) => `file:///${name}/${'x'.repeat(985)}`;
  const subscribe = async (to: string) =>
    (await client.request(pod.url, 'resources/subscribe', { uri: to })).messages[0];
  for (const name of ['a', 'b', 'c']) expect(await subscribe(uri(name))).toMatchObject({ result: {} });
  expect(await subscribe(uri('d'))).toMatchObject({
    error: { code: -32602, message: 'Too many subscriptions: the subscribed URIs of a session may take 3000 bytes' }
  });
  // Neither the server nor Redis has heard of it.
  expect(pod.count('subscribe', client.sessionId)).toBe(3);
  expect(await redis.client.exists(`mcp:session:subscribed:${uri('d')}`)).toBe(0);

  expect(await subscribe(uri('a'))).toMatchObject({ result: {} });
  await client.request(pod.url, 'resources/unsubscribe', { uri: uri('a') });
  expect(await subscribe(uri('d'))).toMatchObject({ result: {} });
});

test('subscriptions that come in one batch take no more than the limit in the store', async () => {
  const pod = await startPod({ maxSubscriptionBytes: 3000 });
  const client = await new RawClient().open(pod.url, { protocolVersion: '2025-03-26' });
  const batch = Array.from({ length: 20 }, (_, i) => {
    const params = { uri: `file:///${i}/${'y'.repeat(900)}` };
    return { jsonrpc: '2.0', id: i + 100, method: 'resources/subscribe', params };
  });
  await client.post(pod.url, batch);
  const fields = await redis.client.hkeys(`mcp:session:{${client.sessionId}}:record`);
  expect(fields.filter(field => field.startsWith('s:')).length).toBe(3);
  expect(pod.errors.join()).toContain('Too many subscriptions');
});

test('a notification of a client that is too large for other pods is answered 413 and reaches none', async () => {
  const [one, two] = [await startPod(), await startPod()];
  const client = await new RawClient().open(one.url);
  expect(await client.callTool(two.url, 'echo', { text: 'x' })).toBe('x');
  const isHeard = (pod: LocalPod, name: string) =>
    pod.journal.entries.some(entry => entry.what === 'message' && entry.name === name);

  const large = await client.notify(one.url, 'notifications/large', { text: 'x'.repeat(2 * MB) });
  expect([large.status, large.messages[0]?.error?.message]).toEqual([
    413,
    'Payload Too Large: A message to another pod must not exceed 1048576 bytes'
  ]);
  expect((await client.notify(one.url, 'notifications/small', { text: 'x'.repeat(MB / 2) })).status).toBe(202);
  await until('the other pod has heard the small one', () => isHeard(two, 'notifications/small'));
  expect([isHeard(one, 'notifications/large'), isHeard(two, 'notifications/large')]).toEqual([false, false]);
});

test('a notification that is too large for the bus is reported', async () => {
  const [one, two] = [await startPod({ maxBusMessageBytes: 2000 }), await startPod({ maxBusMessageBytes: 2000 })];
  const client = await new RawClient().open(one.url);
  const stream = await client.stream(two.url);
  stopAfterTest(() => stream.close());
  const params = { level: 'info' as const, data: 'x'.repeat(3000) };
  await expect(one.handler.notify.send({ method: 'notifications/message', params })).rejects.toThrow(
    'maxBusMessageBytes'
  );
  await one.handler.notify.send({ method: 'notifications/message', params }, { sessions: [client.sessionId!] });
  expect(one.errors.join()).toContain('BusMessageTooLargeError');
  await one.handler.notify.toolsChanged();
  await until('the next message has arrived', () => stream.messages.length > 0);
  expect(stream.messages.map(({ method }) => method)).toEqual(['notifications/tools/list_changed']);
});
