import { randomUUID } from 'node:crypto';
import { Cluster, Redis } from 'ioredis';
import { RedisEventStore, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import type { LocalPod } from '../../support/pods/localPod.js';
import { startPodForTest } from '../../support/pods/localPod.js';
import { type RedisCluster, startRedisCluster } from '../../support/servers/redisCluster.js';
import { type RedisServer, startRedisServer } from '../../support/servers/redisServer.js';
import { until } from '../../support/until.js';

let server: RedisServer;
let cluster: RedisCluster;
let redis: Redis;

beforeAll(async () => {
  [server, cluster] = await Promise.all([startRedisServer(), startRedisCluster()]);
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await Promise.all([server.stop(), cluster.stop()]);
});

beforeEach(() => redis.flushall());

function startPod(client: Redis | Cluster = redis): Promise<LocalPod> {
  const sessionStore = new RedisSessionStore({ redis: client });
  return startPodForTest({ sessionStore, eventStore: new RedisEventStore({ redis: client }) });
}

/** The keys of a session's log, and how long each is kept. */
async function logsOf(sessionId: string): Promise<{ key: string; seconds: number; bytes: number }[]> {
  const patterns = [`mcp:session:events:${sessionId}:*`, `mcp:session:{${sessionId}}:answer:*`];
  const keys = (await Promise.all(patterns.map(pattern => redis.keys(pattern)))).flat();
  return Promise.all(
    keys.map(async key => ({ key, seconds: await redis.ttl(key), bytes: Number(await redis.memory('USAGE', key)) }))
  );
}

test('the log of an answered request is kept for five minutes, and that of an open one for an hour', async () => {
  const pod = await startPod();
  const client = await new RawClient().open(pod.url);
  await client.callTool(pod.url, 'echo', { text: 'x' });
  const logs = await logsOf(client.sessionId!);
  expect(logs).toHaveLength(2);
  for (const { seconds } of logs) expect(seconds).toBeLessThanOrEqual(300);

  const slow = { name: 'progress', arguments: { steps: 2, everyMs: 200 }, _meta: { progressToken: 'p' } };
  const { stream } = await client.follow(pod.url, 'tools/call', slow);
  await until('its log is kept for long', async () =>
    (await logsOf(client.sessionId!)).some(({ seconds }) => seconds > 300)
  );
  stream.drop();
});

test('the log of a batch is kept until the last of its requests is answered', async () => {
  const pod = await startPod();
  const client = await new RawClient().open(pod.url);
  const call = (id: number, name: string) => ({
    jsonrpc: '2.0',
    id,
    method: 'tools/call',
    params: { name, arguments: { ms: 1 } }
  });
  await client.post(pod.url, [call(101, 'echo'), call(102, 'slow'), call(103, 'echo')]);
  for (const { seconds } of await logsOf(client.sessionId!)) expect(seconds).toBeLessThanOrEqual(300);
});

test('the log of a cancelled request is kept for five minutes after its client has left', async () => {
  const pod = await startPod();
  const client = await new RawClient().open(pod.url);
  const { id, stream } = await client.followTool(pod.url, 'hang');
  await until('it has a cursor', () => stream.lastEventId !== undefined);
  await client.notify(pod.url, 'notifications/cancelled', { requestId: id });
  stream.drop();
  await until('no log is kept for long', async () =>
    (await logsOf(client.sessionId!)).every(({ seconds }) => seconds <= 300)
  );
});

test('the log of a usual answer takes little more than its text', async () => {
  const pod = await startPod();
  const client = await new RawClient().open(pod.url);
  (await client.stream(pod.url)).close();
  await client.callTool(pod.url, 'echo', { text: 'x'.repeat(100) });
  for (const { bytes } of await logsOf(client.sessionId!)) expect(bytes).toBeLessThan(1200);
});

/** Opens a session, uses all that it can leave in Redis, and deletes it. */
async function useAndDelete(pod: LocalPod): Promise<string> {
  const client = await new RawClient().open(pod.url);
  (await client.stream(pod.url)).close();
  for (const uri of ['test://a', `test://${'b'.repeat(80)}`])
    await client.request(pod.url, 'resources/subscribe', { uri });
  for (let i = 0; i < 5; i++) await client.callTool(pod.url, 'echo', { text: 'x' });
  const { stream } = await client.followTool(pod.url, 'hang');
  await until('it has a cursor', () => stream.lastEventId !== undefined);
  expect((await client.delete(pod.url)).status).toBe(200);
  stream.drop();
  return client.sessionId!;
}

/** Whether only the session's tombstone is left. The store of an earlier test may still index a stream of its session. */
function isTombstoneOnly(keys: string[], sessionId: string): boolean {
  const left = keys.filter(key => key.includes(sessionId) || !key.endsWith(':streams'));
  return left.length > 0 && left.every(key => key.endsWith(':deleted'));
}

test('a deleted session leaves nothing but its tombstone', async () => {
  const pod = await startPod();
  const sessionId = await useAndDelete(pod);
  await until('the rest is gone', async () => isTombstoneOnly(await redis.keys('*'), sessionId));
  expect(pod.errors).toEqual([]);
});

test('a session that another pod deletes, or on a Cluster, leaves nothing but its tombstone', async () => {
  const client = new Cluster([...cluster.nodes]);
  const pod = await startPod(client);
  await useAndDelete(pod);
  const keys = async () => (await Promise.all(client.nodes('master').map(node => node.keys('*')))).flat();
  await until('the rest is gone', async () => (await keys()).every(key => key.endsWith(':deleted')));
  expect(pod.errors).toEqual([]);

  const [first, second] = [await startPod(), await startPod()];
  const session = await new RawClient().open(first.url);
  await session.callTool(first.url, 'echo', { text: 'x' });
  expect((await session.delete(second.url)).status).toBe(200);
  await until('the rest is gone', async () => isTombstoneOnly(await redis.keys('*'), session.sessionId!));
  client.disconnect();
});

test.each(['a DELETE', 'terminateSession'])(
  '%s on a pod that does not have the session deletes its logs',
  async how => {
    const [first, second] = [await startPod(), await startPod()];
    const client = await new RawClient().open(first.url);
    await client.callTool(first.url, 'echo', { text: 'x' });
    // The first pod forgets the session: no pod has it.
    await first.handler.close({ drainMs: 0 });
    expect(await logsOf(client.sessionId!)).not.toEqual([]);
    await until(
      'its logs are indexed',
      async () => (await redis.zcard(`mcp:session:{${client.sessionId}}:streams`)) === 2
    );
    if (how === 'a DELETE') expect((await client.delete(second.url)).status).toBe(200);
    else await second.handler.terminateSession(client.sessionId!);
    await until('the rest is gone', async () => isTombstoneOnly(await redis.keys('*'), client.sessionId!));
  }
);

test.each(['ada', 'jürgen', 'long'.repeat(1000)])(
  'a principal and its subscriptions leave their indexes: %#',
  async principal => {
    const store = new RedisSessionStore({ redis });
    const sessionId = randomUUID();
    const mcp = { principal, subscriptions: ['test://ü'] };
    const now = Date.now();
    await store.storeSession(sessionId, {
      sessionId,
      initialized: true,
      createdAt: now,
      lastActivity: now,
      metadata: { mcp }
    });
    expect(await redis.keys('*')).toHaveLength(5);
    expect(await store.deleteSession(sessionId)).toBe(true);
    expect(await redis.keys('*')).toEqual([`mcp:session:{${sessionId}}:deleted`]);
  }
);
