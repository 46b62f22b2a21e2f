import { CAPABILITIES } from '../support/clients/answeringClient.js';
import type { Pod } from '../support/pods/process.js';
import { type FollowedRequest, RawClient } from '../support/clients/rawClient.js';
import { until } from '../support/until.js';
import { backstage, useCluster, journalOf } from './cluster.js';
import { questionOn } from './questions.js';

const cluster = useCluster(3);

async function entriesOf(pod: Pod, client: RawClient, what: string): Promise<unknown[]> {
  return (await journalOf(pod, client.sessionId)).filter(entry => entry.what === what).map(({ name }) => name);
}

/** A session with a stream on the first pod, and on the first two a request and a question that wait. */
async function openBusy(path: string) {
  const [one, two] = [`${cluster.first.origin}/${path}`, `${cluster.second.origin}/${path}`];
  const client = await new RawClient().open(one, { capabilities: CAPABILITIES });
  const stream = await client.stream(one);
  const requests: FollowedRequest[] = [];
  for (const url of [one, two]) {
    requests.push(await client.followTool(url, 'hang'));
    const asking = await client.followTool(url, 'ask', { text: 'well?' });
    await questionOn(asking);
    requests.push(asking);
  }
  for (const pod of [cluster.first, cluster.second]) {
    await until('all runs', async () => (await entriesOf(pod, client, 'tool')).length === 2);
  }
  const expectAllEnded = async () => {
    await stream.ended;
    for (const request of requests) await request.stream.untilEnded();
    for (const pod of [cluster.first, cluster.second]) {
      await until('its server knows', async () => (await entriesOf(pod, client, 'server closed')).length === 1);
      await until('the request is told', async () => (await entriesOf(pod, client, 'aborted')).length === 1);
      expect(await entriesOf(pod, client, 'aborted')).toEqual(['AbortError']);
    }
    for (const pod of cluster.pods)
      expect(await client.callTool(`${pod.origin}/${path}`, 'echo', { text: 'x' })).toBe(404);
  };
  return { client, expectAllEnded };
}

test.each([
  ['mcp', 0],
  ['mcp', 1],
  ['mcp', 2],
  ['hand', 1],
  ['hand', 2]
])('/%s: a DELETE on pod %i of three ends streams and requests on all pods at once', async (path, index) => {
  const { client, expectAllEnded } = await openBusy(path);
  const start = performance.now();
  expect((await client.delete(`${cluster.pods[index]!.origin}/${path}`)).status).toBe(200);
  await expectAllEnded();
  // Long before any pod looks by itself: sessions live there for an hour.
  expect(performance.now() - start).toBeLessThan(5000);
});

// Promise: L4
test.each([0, 1, 2])('the application on pod %i of three ends a session on all pods at once', async index => {
  const { client, expectAllEnded } = await openBusy('mcp');
  await backstage(cluster.pods[index]!, 'terminate', { sessionId: client.sessionId! });
  await expectAllEnded();
  const closed = await Promise.all(cluster.pods.map(pod => entriesOf(pod, client, 'onsessionclosed')));
  expect(closed.flat()).toEqual([]);
});

// Promise: F1
test('an expired session ends on each pod after that pod next reads the session', async () => {
  const { client, expectAllEnded } = await openBusy('brief');
  expect(await cluster.backend.expire('brief', client.sessionId)).toBe(true);
  await expectAllEnded();
});

test('ending one of two sessions on the same pods leaves the other open', async () => {
  const ending = await openBusy('mcp');
  const staying = await openBusy('mcp');
  await ending.client.delete(`${cluster.third.origin}/mcp`);
  await ending.expectAllEnded();
  for (const pod of [cluster.first, cluster.second])
    expect(await entriesOf(pod, staying.client, 'server closed')).toEqual([]);
  expect((await staying.client.delete(`${cluster.third.origin}/mcp`)).status).toBe(200);
  await staying.expectAllEnded();
});
