import type { Pod } from '../support/pods/process.js';
import type { WhoAmI } from '../support/pods/probeServer.js';
import { RawClient } from '../support/clients/rawClient.js';
import { until } from '../support/until.js';
import { useCluster, journalOf } from './cluster.js';

const cluster = useCluster(2);

const allLevels = ['debug', 'info', 'warning', 'error', 'emergency'];

/** Which levels of log message a pod lets through to a client that holds its stream there. */
async function levelsHeardFrom(url: string, client: RawClient): Promise<unknown[]> {
  const stream = await client.stream(url);
  expect(stream.status).toBe(200);
  expect(await client.callTool(url, 'log', { text: 'x' })).toBe('logged');
  // Nothing lets an emergency be ignored, so it is the last to arrive.
  await until('the last log message has arrived', () => stream.messages.some(isEmergency));
  stream.close();
  await stream.ended;
  return stream.messages.map(({ params }) => params?.level);
}

function isEmergency({ params }: { params?: Record<string, unknown> }): boolean {
  return params?.level === 'emergency';
}

test.each(['mcp', 'low'])('/%s: a log level that is set on one pod filters on all', async path => {
  const [one, two] = [`${cluster.first.origin}/${path}`, `${cluster.second.origin}/${path}`];
  const client = await new RawClient().open(one);
  expect(await levelsHeardFrom(one, client)).toEqual(allLevels);

  await client.request(one, 'logging/setLevel', { level: 'error' });
  expect(await levelsHeardFrom(two, client)).toEqual(['error', 'emergency']);
  // By now live on both: changes travel as well as beginnings.
  await client.request(two, 'logging/setLevel', { level: 'info' });
  expect(await levelsHeardFrom(one, client)).toEqual(['info', 'warning', 'error', 'emergency']);
  await client.request(one, 'logging/setLevel', { level: 'emergency' });
  expect(await levelsHeardFrom(two, client)).toEqual(['emergency']);
  expect(await levelsHeardFrom(one, client)).toEqual(['emergency']);
});

test('a log level that the server refuses changes nothing on any pod', async () => {
  const client = await new RawClient().open(`${cluster.first.origin}/low`);
  await client.request(`${cluster.first.origin}/low`, 'logging/setLevel', { level: 'warning' });
  const answer = await client.request(`${cluster.first.origin}/low`, 'logging/setLevel', { level: 'loud' });
  expect(answer.messages[0]?.error).toBeDefined();
  expect(await levelsHeardFrom(`${cluster.second.origin}/low`, client)).toEqual(['warning', 'error', 'emergency']);
});

async function subscriptionsOn(pod: Pod, client: RawClient): Promise<string[]> {
  const told = await client.callTool(`${pod.origin}/low`, 'whoami');
  return (JSON.parse(String(told)) as WhoAmI).subscriptions;
}

test("subscriptions and their ends reach the application's own handlers on every pod", async () => {
  const client = await new RawClient().open(`${cluster.first.origin}/low`);
  const ask = (pod: Pod, method: string, uri: string) =>
    client.request(`${pod.origin}/low`, `resources/${method}`, { uri });
  await ask(cluster.first, 'subscribe', 'file:///a');
  await ask(cluster.first, 'subscribe', 'file:///b?x=%20');
  expect(await subscriptionsOn(cluster.second, client)).toEqual(['file:///a', 'file:///b?x=%20']);

  await ask(cluster.second, 'unsubscribe', 'file:///a');
  await ask(cluster.second, 'subscribe', 'file:///c');
  expect(await subscriptionsOn(cluster.first, client)).toEqual(['file:///b?x=%20', 'file:///c']);
  await ask(cluster.first, 'subscribe', 'file:///a');
  expect(await subscriptionsOn(cluster.second, client)).toEqual(['file:///a', 'file:///b?x=%20', 'file:///c']);
  expect(await subscriptionsOn(cluster.first, client)).toEqual(['file:///a', 'file:///b?x=%20', 'file:///c']);

  const seen = (await journalOf(cluster.second, client.sessionId)).filter(({ what }) => what.endsWith('subscribe'));
  const inWords = seen.map(({ what, name }) => `${what} ${name}`);
  // Subscriptions are a set: in which order it is replayed is not kept.
  expect(inWords.splice(0, 2).sort()).toEqual(['subscribe file:///a', 'subscribe file:///b?x=%20']);
  expect(inWords).toEqual(['unsubscribe file:///a', 'subscribe file:///c', 'subscribe file:///a']);
});

test('subscriptions that two pods take at the same moment are all known everywhere', async () => {
  const client = await new RawClient().open(`${cluster.first.origin}/low`);
  const uris = Array.from({ length: 20 }, (_, i) => `test://${String(i).padStart(2, '0')}`);
  await Promise.all(
    uris.map((uri, i) =>
      client.request(`${(i % 2 ? cluster.first : cluster.second).origin}/low`, 'resources/subscribe', { uri })
    )
  );
  expect(await subscriptionsOn(cluster.first, client)).toEqual(uris);
  expect(await subscriptionsOn(cluster.second, client)).toEqual(uris);
});
