import { Redis } from 'ioredis';
import { RedisEventStore, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import { startRedisServer } from '../../support/servers/redisServer.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';
import { type LocalPod, startPodForTest } from '../../support/pods/localPod.js';

async function startTwo(): Promise<{ pods: [LocalPod, LocalPod]; admin: Redis; logs: () => Promise<string[]> }> {
  const server = await startRedisServer();
  const connect = () => new Redis(server.url);
  const [admin, ...clients] = [connect(), connect(), connect()];
  const pods = (await Promise.all(
    clients.map(redis =>
      startPodForTest({ sessionStore: new RedisSessionStore({ redis }), eventStore: new RedisEventStore({ redis }) })
    )
  )) as [LocalPod, LocalPod];
  stopAfterTest(
    () => [admin, ...clients].forEach(redis => redis.disconnect()),
    () => server.stop()
  );
  return { pods, admin: admin, logs: () => admin.keys('*events:*:standalone') };
}

test('notify writes to the event log of the sessions that listen, and of no other', async () => {
  const { pods, admin, logs } = await startTwo();
  const clients = await Promise.all(
    Array.from({ length: 12 }, (_, i) => new RawClient({}).open(pods[i % 2]!.url, { protocolVersion: '2025-06-18' }))
  );
  const listening = clients[0]!;
  const stream = await listening.stream(pods[1].url);
  stopAfterTest(() => stream.close());

  await pods[0].handler.notify.toolsChanged();
  await until('the client that listens has heard', () => stream.messages.some(({ method }) => method !== undefined));
  expect(await logs()).toEqual([expect.stringContaining(listening.sessionId!)]);

  // The client of a stream that broke has a cursor: what it misses is logged.
  stream.close();
  const length = await admin.xlen((await logs())[0]!);
  await pods[0].handler.notify.toolsChanged();
  expect(await admin.xlen((await logs())[0]!)).toBe(length + 1);
});

test('a listening client gets notifications after its log has expired, and the log starts again', async () => {
  const { pods, admin, logs } = await startTwo();
  const client = await new RawClient().open(pods[0].url);
  const stream = await client.stream(pods[0].url);
  stopAfterTest(() => stream.close());
  await admin.del(...(await logs()));

  await pods[1].handler.notify.toolsChanged();
  await until('the client has heard', () => stream.messages.some(({ method }) => method !== undefined));
  expect(stream.messages.filter(({ method }) => method === 'notifications/tools/list_changed')).toHaveLength(1);
  expect(await logs()).toEqual([expect.stringContaining(client.sessionId!)]);
});
