import { LoggingMessageNotificationSchema, ToolListChangedNotificationSchema } from 'mcp-sdk-upstream/types.js';
import { AnsweringClient } from '../support/clients/answeringClient.js';
import type { Pod } from '../support/pods/process.js';
import { type OpenStream, RawClient } from '../support/clients/rawClient.js';
import { until } from '../support/until.js';
import { backstage, useCluster, journalOf } from './cluster.js';

const cluster = useCluster(3);

/** A session that is live on all pods. */
async function openOnAll(path = 'mcp'): Promise<RawClient> {
  const client = await new RawClient().open(`${cluster.first.origin}/${path}`);
  await Promise.all(cluster.pods.map(pod => client.request(`${pod.origin}/${path}`, 'ping')));
  return client;
}

const say = (pod: Pod, client: RawClient, what: string, ...texts: string[]) =>
  backstage(pod, 'say', { sessionId: client.sessionId!, what, texts });

const heardOn = ({ messages }: OpenStream) => messages.map(({ params }) => String(params?.data));

test.each(['mcp', 'hand'])(
  '/%s: notifications from every pod arrive on the one stream once and in order',
  async path => {
    const client = await openOnAll(path);
    for (const holder of cluster.pods) {
      const stream = await client.stream(`${holder.origin}/${path}`);
      const texts = cluster.pods.map((_, index) => Array.from({ length: 40 }, (__, i) => `${index}/${i}`));
      await Promise.all(cluster.pods.map((pod, index) => say(pod, client, 'info', ...texts[index]!)));
      await until('all has arrived', () => stream.messages.length >= texts.flat().length);
      for (const [index, said] of texts.entries()) {
        expect(heardOn(stream).filter(text => text.startsWith(`${index}/`))).toEqual(said);
      }
      expect(stream.messages).toHaveLength(texts.flat().length);
      stream.close();
      await stream.ended;
    }
  }
);

test('log messages, list changes and resource updates arrive unchanged', async () => {
  const client = await openOnAll('low');
  const stream = await client.stream(`${cluster.first.origin}/low`);
  await say(cluster.second, client, 'tools', '');
  await say(cluster.second, client, 'resource', 'file:///ü');
  await say(cluster.second, client, 'warning', 'mind the gap\n\ndata: {}');
  await until('all has arrived', () => stream.messages.length === 3);
  expect(stream.messages).toEqual([
    { jsonrpc: '2.0', method: 'notifications/tools/list_changed' },
    { jsonrpc: '2.0', method: 'notifications/resources/updated', params: { uri: 'file:///ü' } },
    { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'warning', data: 'mind the gap\n\ndata: {}' } }
  ]);
  stream.close();
});

test("the SDK's client hears every pod", async () => {
  cluster.proxy.setPods(cluster.pods.map(pod => pod.port));
  const client = await AnsweringClient.connect(`${cluster.proxy.origin}/mcp`);
  const heard: unknown[] = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void heard.push(params.data));
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.push('tools'));
  const sessionId = client.http.sessionId!;
  await Promise.all(cluster.pods.map(() => client.ping()));
  await until('its stream is open', async () => {
    heard.length = 0;
    await backstage(cluster.first, 'say', { sessionId, texts: ['open?'] });
    return heard.length > 0;
  });
  for (const pod of cluster.pods) {
    await backstage(pod, 'say', { sessionId, texts: [`from ${pod.port}`] });
    await backstage(pod, 'say', { sessionId, what: 'tools', texts: [''] });
  }
  const expected = cluster.pods.flatMap(pod => [`from ${pod.port}`, 'tools']);
  await until('all has arrived', () => heard.filter(text => text !== 'open?').length === expected.length);
  expect(heard.filter(text => text !== 'open?').sort()).toEqual(expected.sort());
  await client.leave();
});

test('a notification that is sent before the GET comes is dropped, and a later one arrives on one stream alone', async () => {
  const client = await openOnAll();
  await say(cluster.second, client, 'info', 'early');
  const stream = await client.stream(`${cluster.first.origin}/mcp`);
  await say(cluster.second, client, 'info', 'in time');
  await until('it has arrived', () => stream.messages.length > 0);
  expect(heardOn(stream)).toEqual(['in time']);
  const newer = await client.stream(`${cluster.third.origin}/mcp`);
  await say(cluster.second, client, 'info', 'later');
  await until('it has arrived', () => newer.messages.length > 0);
  expect(heardOn(newer)).toEqual(['later']);
  newer.close();
});

test.each(['mcp', 'low'])(
  '/%s: a log level filters the messages of other pods without an exchange there',
  async path => {
    const client = await openOnAll(path);
    const stream = await client.stream(`${cluster.third.origin}/${path}`);
    const before = (await journalOf(cluster.second, client.sessionId)).length;
    for (const [pod, level, passes] of [
      [cluster.first, 'error', false],
      [cluster.third, 'info', true],
      [cluster.first, 'critical', false]
    ] as const) {
      await client.request(`${pod.origin}/${path}`, 'logging/setLevel', { level });
      // The pods hear of it at the same time as the client, or a moment later.
      await until('it is in effect', async () => {
        const since = stream.messages.length;
        await say(cluster.second, client, 'warning', 'perhaps');
        await say(cluster.second, client, 'emergency', 'always');
        const heard = await until('it has arrived', () => {
          const texts = heardOn(stream).slice(since);
          return texts.includes('always') && texts;
        });
        return heard.includes('perhaps') === passes;
      });
    }
    const exchanges = (await journalOf(cluster.second, client.sessionId))
      .slice(before)
      .filter(({ what }) => what === 'message');
    expect(exchanges.map(({ name, again }) => [name, again])).toEqual(Array(3).fill(['logging/setLevel', true]));
    stream.close();
  }
);

test('a newer stream takes over from an older one, on whichever pods they are', async () => {
  const client = await openOnAll();
  let older = await client.stream(`${cluster.first.origin}/mcp`);
  for (const pod of [cluster.second, cluster.third, cluster.third, cluster.first, cluster.second]) {
    const newer = await client.stream(`${pod.origin}/mcp`);
    expect(newer.status).toBe(200);
    await older.ended;
    for (const speaker of cluster.pods) await say(speaker, client, 'info', `from ${speaker.port}`);
    await until('all has arrived', () => newer.messages.length === 3);
    expect(heardOn(newer).sort()).toEqual(cluster.pods.map(({ port }) => `from ${port}`).sort());
    older = newer;
  }
  older.close();
});

test('one stream remains if a client opens streams on several pods at once', async () => {
  const client = await openOnAll();
  for (let round = 0; round < 10; round++) {
    const streams = await Promise.all(cluster.pods.map(pod => client.stream(`${pod.origin}/mcp`)));
    const ended = new Set<OpenStream>();
    for (const stream of streams) void stream.ended.then(() => ended.add(stream));
    await until('two have ended', () => ended.size >= 2);
    await say(cluster.first, client, 'info', 'who is left?');
    await until('one has it', () => streams.some(stream => stream.messages.length > 0));
    expect(streams.filter(stream => stream.messages.length > 0)).toHaveLength(1);
    expect(ended.size).toBe(2);
    for (const stream of streams) stream.close();
  }
});

test("with 'reject' every pod answers a second stream with 409 while the first is open", async () => {
  const client = await openOnAll('reject');
  let stream = await client.stream(`${cluster.first.origin}/reject`);
  for (const holder of [cluster.second, cluster.third, cluster.first]) {
    for (const pod of cluster.pods) {
      const refused = await client.stream(`${pod.origin}/reject`);
      expect(refused.status).toBe(409);
    }
    await say(cluster.third, client, 'info', 'still there?');
    await until('it is heard', () => heardOn(stream).includes('still there?'));
    stream.close();
    await stream.ended;
    stream = await until('the place is free', async () => {
      const next = await client.stream(`${holder.origin}/reject`);
      return next.status === 200 && next;
    });
  }
  stream.close();
});

test('the application closes the stream of its client on a pod that does not hold it', async () => {
  const client = await openOnAll();
  for (const [holder, closing] of [
    [cluster.first, cluster.second],
    [cluster.second, cluster.third],
    [cluster.third, cluster.third]
  ] as const) {
    const stream = await client.stream(`${holder.origin}/mcp`);
    await backstage(closing, 'close-standalone', { sessionId: client.sessionId! });
    await stream.ended;
  }
  expect(await client.callTool(`${cluster.first.origin}/mcp`, 'echo', { text: 'on it goes' })).toBe('on it goes');
});
