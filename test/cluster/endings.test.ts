import { setTimeout as delay } from 'node:timers/promises';
import { RawClient } from '../support/clients/rawClient.js';
import { until } from '../support/until.js';
import { useCluster, forgetAllOn, journalOf } from './cluster.js';

const cluster = useCluster(3);

/** A session that is live on the first two pods, and not on the third. */
async function openOnTwo(path: string): Promise<RawClient> {
  const client = await new RawClient().open(`${cluster.first.origin}/${path}`);
  expect(await client.callTool(`${cluster.second.origin}/${path}`, 'echo', { text: 'x' })).toBe('x');
  return client;
}

test.each([
  ['mcp', 'where it began', 0],
  ['mcp', 'where it was recovered', 1],
  ['mcp', 'where it never was', 2],
  ['hand', 'where it began', 0],
  ['hand', 'where it never was', 2]
])('/%s: a DELETE on the pod %s ends the session on every pod', async (path, _where, index) => {
  const client = await openOnTwo(path);
  const answer = await client.delete(`${cluster.pods[index]!.origin}/${path}`);
  expect([answer.status, answer.text]).toEqual([200, '']);
  for (const pod of cluster.pods) {
    const { status, messages } = await client.request(`${pod.origin}/${path}`, 'ping');
    expect([status, messages[0]?.error]).toEqual([404, { code: -32001, message: 'Session not found' }]);
    expect((await client.delete(`${pod.origin}/${path}`)).status).toBe(404);
  }
  // What each pod held for it has been closed, and only one of them was asked to end it.
  for (const pod of [cluster.first, cluster.second]) {
    const journal = await journalOf(pod, client.sessionId);
    expect(journal.filter(({ what }) => what === 'server closed')).toHaveLength(1);
  }
  const closed = await Promise.all(cluster.pods.map(pod => journalOf(pod, client.sessionId)));
  expect(closed.flat().filter(({ what }) => what === 'onsessionclosed')).toHaveLength(1);
  expect(await cluster.backend.has('pod', client.sessionId)).toBe(false);
});

test.each(['mcp', 'low', 'hand'])('/%s: servers that are closed on their pods leave the session alive', async path => {
  const client = await openOnTwo(path);
  await forgetAllOn(cluster.first);
  await forgetAllOn(cluster.second);
  for (const pod of [cluster.first, cluster.second]) {
    expect(await journalOf(pod, client.sessionId)).toContainEqual(expect.objectContaining({ what: 'server closed' }));
  }
  expect(await cluster.backend.has('pod', client.sessionId)).toBe(true);
  for (const pod of cluster.pods)
    expect(await client.callTool(`${pod.origin}/${path}`, 'echo', { text: 'y' })).toBe('y');
  const journal = await journalOf(cluster.first, client.sessionId);
  expect(journal.filter(({ what }) => what === 'onsessionrecovered')).toHaveLength(1);
  expect(journal.filter(({ what }) => what === 'onsessionclosed')).toHaveLength(0);
});

test('a pod forgets an idle session, and brings it back at the next request', async () => {
  const url = `${cluster.first.origin}/forgetful`;
  const client = await new RawClient().open(url);
  const count = async (what: string) =>
    (await journalOf(cluster.first, client.sessionId)).filter(e => e.what === what).length;
  for (const times of [1, 2]) {
    await until('the idle session has been forgotten', async () => (await count('server closed')) === times);
    expect(await cluster.backend.has('forgetful', client.sessionId)).toBe(true);
    expect(await client.callTool(url, 'echo', { text: 'back' })).toBe('back');
    expect(await count('onsessionrecovered')).toBe(times);
  }
});

test('a session with an open stream, or with a slow request, is not idle', async () => {
  const url = `${cluster.first.origin}/forgetful`;
  const closings = async (client: RawClient) =>
    (await journalOf(cluster.first, client.sessionId)).filter(({ what }) => what === 'server closed').length;
  const [holding, waiting] = [await new RawClient().open(url), await new RawClient().open(url)];
  const stream = await holding.stream(url);
  // On a slow machine the session may have been idle for long enough before it had the stream.
  const before = await closings(holding);
  expect(await waiting.callTool(url, 'slow', { ms: 700 })).toBe('done');
  expect(await closings(holding)).toBe(before);
  stream.close();
  const areForgotten = async () => (await closings(holding)) > before && (await closings(waiting)) > 0;
  await until('both have been forgotten', areForgotten);
});

test('a session outlives its time to live only while its client holds a stream', async () => {
  const holding = await new RawClient().open(`${cluster.first.origin}/brief`);
  const idle = await new RawClient().open(`${cluster.first.origin}/brief`);
  const stream = await holding.stream(`${cluster.first.origin}/brief`);
  // Twice the two seconds that sessions live there.
  await delay(4_200);
  expect(await holding.callTool(`${cluster.second.origin}/brief`, 'echo', { text: 'alive' })).toBe('alive');
  expect(await idle.callTool(`${cluster.second.origin}/brief`, 'echo', { text: 'dead' })).toBe(404);
  expect(await idle.callTool(`${cluster.first.origin}/brief`, 'echo', { text: 'dead' })).toBe(404);
  stream.close();
  await stream.ended;
  await until('the session has expired', async () => !(await cluster.backend.has('brief', holding.sessionId)));
  expect(await holding.callTool(`${cluster.third.origin}/brief`, 'echo', { text: 'dead' })).toBe(404);
});

test('a stream is closed after its pod next reads a session that another pod ended', async () => {
  const client = await new RawClient().open(`${cluster.first.origin}/brief`);
  const stream = await client.stream(`${cluster.first.origin}/brief`);
  expect((await client.delete(`${cluster.second.origin}/brief`)).status).toBe(200);
  await stream.ended;
  expect(await client.callTool(`${cluster.first.origin}/brief`, 'echo', { text: 'x' })).toBe(404);
});
