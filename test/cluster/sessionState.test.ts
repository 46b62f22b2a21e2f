import { Redis } from 'ioredis';
import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import type { Pod } from '../support/pods/process.js';
import { RawClient } from '../support/clients/rawClient.js';
import { backstage, useCluster } from './cluster.js';

const cluster = useCluster(3);

const INCREMENTS = 200;
/** Calls of the client that are under way at the same time. */
const AT_ONCE = 10;

type Op = 'get' | 'set' | 'count' | 'delete';

async function stateOn(pod: Pod, client: RawClient, op: Op, value?: unknown, path = 'mcp'): Promise<unknown> {
  return JSON.parse(String(await client.callTool(`${pod.origin}/${path}`, 'state', { op, value })));
}

test.each(['mcp', 'low', 'fetch', 'hand'])(
  '/%s: no update of an SDK client that three pods serve is lost',
  async path => {
    const client = new Client({ name: 'counts', version: '1' });
    const transport = new StreamableHTTPClientTransport(new URL(`${cluster.proxy.origin}/${path}`));
    await client.connect(transport);
    const seen: number[] = [];
    const count = async () => {
      const { content } = await client.callTool({ name: 'state', arguments: { op: 'count' } });
      seen.push(Number((content as { text: string }[])[0]!.text));
    };
    const rounds = path === 'mcp' ? INCREMENTS : INCREMENTS / 4;
    for (let done = 0; done < rounds; done += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, count));
    expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: rounds }, (_, index) => index + 1));
    await transport.terminateSession();
    await client.close();
  }
);

test('the state of a session is equal on every pod, separate from other sessions, and deleted with the session', async () => {
  const [one, other] = [
    await new RawClient().open(`${cluster.first.origin}/mcp`),
    await new RawClient().open(`${cluster.first.origin}/mcp`)
  ];
  expect(await stateOn(cluster.first, one, 'get')).toBe('nothing');
  await stateOn(cluster.first, one, 'set', { cart: ['a'], note: 'ü' });
  for (const pod of cluster.pods) expect(await stateOn(pod, one, 'get')).toEqual({ cart: ['a'], note: 'ü' });
  for (const pod of cluster.pods) expect(await stateOn(pod, other, 'get')).toBe('nothing');
  await stateOn(cluster.second, other, 'set', 'other');
  await stateOn(cluster.second, one, 'delete');
  expect(await stateOn(cluster.first, one, 'get')).toBe('nothing');
  await stateOn(cluster.second, one, 'set', 'again');

  await one.delete(`${cluster.second.origin}/mcp`);
  const redis = new Redis(cluster.backend.redisUrl);
  expect(await redis.keys(`*${one.sessionId}*`)).toEqual([`pod:{${one.sessionId}}:deleted`]);
  redis.disconnect();
  expect(await stateOn(cluster.first, other, 'get')).toBe('other');
});

test("revoking a principal's sessions on one pod ends its live sessions and streams on another", async () => {
  const principal = JSON.stringify(['https://issuer.test', 'mallory']);
  const url = (pod: Pod) => `${pod.origin}/mcp`;
  const open = (pod: Pod, user: string) => new RawClient({ 'x-user': user }).open(url(pod));
  const sessions = [
    await open(cluster.second, 'mallory'),
    await open(cluster.second, 'mallory'),
    await open(cluster.first, 'mallory')
  ];
  const [alice, nobody] = [await open(cluster.second, 'alice'), await new RawClient().open(url(cluster.second))];
  const [stream, kept] = [await sessions[0]!.stream(url(cluster.second)), await alice.stream(url(cluster.second))];
  const hanging = await sessions[1]!.followTool(url(cluster.second), 'hang');
  expect(await backstage(cluster.first, 'list', { principal, sessionId: '' })).toEqual(
    sessions.map(({ sessionId }) => sessionId).sort()
  );

  expect(await backstage(cluster.first, 'revoke', { principal, sessionId: '' })).toBe(3);
  await stream.ended;
  await hanging.stream.untilEnded();
  for (const session of sessions) {
    for (const pod of cluster.pods) expect((await session.request(url(pod), 'ping')).status).toBe(404);
  }
  expect(await backstage(cluster.second, 'list', { principal, sessionId: '' })).toEqual([]);
  expect(await backstage(cluster.second, 'revoke', { principal, sessionId: '' })).toBe(0);
  for (const other of [alice, nobody]) {
    expect(await other.callTool(url(cluster.first), 'echo', { text: 'here' })).toBe('here');
  }
  let ended = false;
  void kept.ended.then(() => (ended = true));
  expect(await alice.callTool(url(cluster.second), 'log', { text: 'x' })).toBe('logged');
  expect(ended).toBe(false);
  kept.close();
});
