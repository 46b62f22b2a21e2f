import { AnsweringClient } from '../support/clients/answeringClient.js';
import type { Pod } from '../support/pods/process.js';
import { type FollowedRequest, RawClient } from '../support/clients/rawClient.js';
import { until } from '../support/until.js';
import { useCluster, journalOf } from './cluster.js';

const cluster = useCluster(3);

const mcp = (pod: Pod) => `${pod.origin}/mcp`;

/** A session that is live on all pods. */
async function openOnAll(path = 'mcp'): Promise<RawClient> {
  const client = await new RawClient().open(`${cluster.first.origin}/${path}`);
  for (const pod of cluster.pods) await client.callTool(`${pod.origin}/${path}`, 'echo', { text: 'x' });
  return client;
}

async function count(pod: Pod, sessionId: string | undefined, ...these: string[]): Promise<number> {
  const entries = await journalOf(pod, sessionId);
  return entries.filter(({ what, name }) => these.every(each => each === what || each === name)).length;
}

/** A request that runs until it is cancelled. */
async function hangOn(pod: Pod, client: RawClient): Promise<FollowedRequest> {
  const before = await count(pod, client.sessionId, 'tool', 'hang');
  const request = await client.followTool(mcp(pod), 'hang');
  await until('it runs', async () => (await count(pod, client.sessionId, 'tool', 'hang')) > before);
  return request;
}

const reasons = async (pod: Pod, client: RawClient) =>
  (await journalOf(pod, client.sessionId)).filter(({ what }) => what === 'aborted').map(({ name }) => name);

test('a cancellation stops the request that it names, on whichever pod that runs', async () => {
  const client = await new RawClient().open(mcp(cluster.first));
  const [one, two, other] = [
    await hangOn(cluster.first, client),
    await hangOn(cluster.first, client),
    await hangOn(cluster.second, client)
  ];
  const cancel = (pod: Pod, requestId: unknown, reason: string) =>
    client.notify(mcp(pod), 'notifications/cancelled', { requestId, reason });

  // What is open nowhere, or is written otherwise, stops nothing.
  for (const requestId of [999, String(one.id), `${one.id}`, -one.id, null, {}]) {
    expect((await cancel(cluster.second, requestId, 'wrong')).status).toBe(202);
  }
  expect((await client.notify(mcp(cluster.second), 'notifications/cancelled')).status).toBe(202);

  expect((await cancel(cluster.second, one.id, 'enough')).status).toBe(202);
  await until('the first has stopped', async () => (await reasons(cluster.first, client)).length === 1);
  // From a pod that has never seen the session.
  expect((await cancel(cluster.third, other.id, 'this as well')).status).toBe(202);
  await until('the other has stopped', async () => (await reasons(cluster.second, client)).length === 1);
  expect((await cancel(cluster.first, two.id, 'and at home')).status).toBe(202);
  await until('the last has stopped', async () => (await reasons(cluster.first, client)).length === 2);

  expect(await reasons(cluster.first, client)).toEqual(['enough', 'and at home']);
  expect(await reasons(cluster.second, client)).toEqual(['this as well']);
  expect(await reasons(cluster.third, client)).toEqual([]);
  for (const { stream } of [one, two, other]) stream.drop();
});

test("the SDK's client cancels a request on another pod than the one that runs it", async () => {
  cluster.proxy.setPods(cluster.pods.map(pod => pod.port));
  const client = await AnsweringClient.connect(`${cluster.proxy.origin}/mcp`);
  const { sessionId } = client.http;
  const hanging = async (what: string) =>
    (await Promise.all(cluster.pods.map(pod => count(pod, sessionId, what)))).reduce((sum, each) => sum + each, 0);
  const aborts = Array.from({ length: 6 }, () => new AbortController());
  const calls = aborts.map(({ signal }) =>
    expect(client.callTool({ name: 'hang' }, undefined, { signal })).rejects.toThrow('changed my mind')
  );
  await until('all run', async () => (await hanging('tool')) === aborts.length);
  for (const [index, abort] of aborts.entries()) {
    abort.abort('changed my mind');
    await until('it has stopped', async () => (await hanging('aborted')) === index + 1);
  }
  await Promise.all(calls);
  await client.leave();
});

test("the progress of a client's request comes on its own stream, on every pod", async () => {
  cluster.proxy.setPods(cluster.pods.map(pod => pod.port));
  const client = await AnsweringClient.connect(`${cluster.proxy.origin}/mcp`);
  const calls = Array.from({ length: 9 }, async () => {
    const seen: number[] = [];
    const onprogress = ({ progress }: { progress: number }) => void seen.push(progress);
    await client.callTool({ name: 'progress', arguments: { steps: 4, everyMs: 5 } }, undefined, { onprogress });
    expect(seen).toEqual([1, 2, 3, 4]);
  });
  await Promise.all(calls);
  await client.leave();
});

test.each(['mcp', 'low', 'hand'])(
  '/%s: a notification of the client about a change reaches each live pod once',
  async path => {
    const client = await openOnAll(path);
    const rounds = 12;
    for (let i = 0; i < rounds; i++) {
      const url = `${cluster.pods[i % 3]!.origin}/${path}`;
      expect((await client.notify(url, 'notifications/roots/list_changed')).status).toBe(202);
    }
    // What a pod says arrives in order: behind the last of these nothing comes.
    for (const pod of cluster.pods)
      await client.notify(`${pod.origin}/${path}`, `notifications/last`, { of: pod.port });
    for (const pod of cluster.pods) {
      await until('the last has come', async () => (await count(pod, client.sessionId, 'notifications/last')) === 3);
      expect(await count(pod, client.sessionId, 'notifications/roots/list_changed')).toBe(rounds);
    }
  }
);

test('a notification of the client reaches a pod that has just recovered the session once', async () => {
  const client = await new RawClient().open(mcp(cluster.first));
  expect((await client.notify(mcp(cluster.second), 'notifications/roots/list_changed')).status).toBe(202);
  await client.notify(mcp(cluster.second), 'notifications/last');
  for (const pod of [cluster.first, cluster.second]) {
    await until('the last has come', async () => (await count(pod, client.sessionId, 'notifications/last')) === 1);
    expect(await count(pod, client.sessionId, 'notifications/roots/list_changed')).toBe(1);
  }
  expect(await count(cluster.third, client.sessionId, 'notifications/roots/list_changed')).toBe(0);
});

test('the end of the handshake reaches every live pod once, whichever pod receives it', async () => {
  for (const finishing of cluster.pods) {
    const client = new RawClient();
    await client.initialize(mcp(cluster.first));
    for (const pod of cluster.pods) await client.request(mcp(pod), 'ping');
    expect((await client.notify(mcp(finishing), 'notifications/initialized')).status).toBe(202);
    for (const pod of cluster.pods) {
      await until('it is initialized', async () => (await count(pod, client.sessionId, 'oninitialized')) === 1);
    }
    for (const pod of cluster.pods) await client.callTool(mcp(pod), 'echo', { text: 'x' });
    for (const pod of cluster.pods) expect(await count(pod, client.sessionId, 'oninitialized')).toBe(1);
  }
});
