import { randomUUID } from 'node:crypto';
import type { WhoAmI } from '../support/pods/probeServer.js';
import { RawClient } from '../support/clients/rawClient.js';
import { useCluster, serversMadeOn } from './cluster.js';

const cluster = useCluster(2);

function as(user: string | undefined, sessionId: string, token = 'token'): RawClient {
  const login: Record<string, string> = user === undefined ? {} : { 'x-user': user, 'x-token': token };
  return new RawClient({ ...login, 'mcp-session-id': sessionId });
}

// Promise: F5
test('another principal gets the reply for an unknown session, on every pod and for every method', async () => {
  const alice = await new RawClient({ 'x-user': 'alice' }).open(`${cluster.first.origin}/mcp`);
  const made = await serversMadeOn(cluster.second);
  for (const pod of [cluster.first, cluster.second]) {
    const url = `${pod.origin}/mcp`;
    for (const user of ['mallory', undefined]) {
      const unknown = await as(user, randomUUID()).request(url, 'tools/list');
      const foreign = await as(user, alice.sessionId!).request(url, 'tools/list');
      expect([foreign.status, foreign.text]).toEqual([404, unknown.text]);
      expect([...foreign.headers.keys()]).toEqual([...unknown.headers.keys()]);
      expect((await as(user, alice.sessionId!).notify(url, 'notifications/initialized')).status).toBe(404);
      expect((await as(user, alice.sessionId!).stream(url)).status).toBe(404);
      expect((await as(user, alice.sessionId!).delete(url)).status).toBe(404);
    }
  }
  expect((await serversMadeOn(cluster.second)) - made).toBe(0);
  expect(await alice.callTool(`${cluster.second.origin}/mcp`, 'echo', { text: 'mine' })).toBe('mine');
});

test("an initialize with a stranger's session id opens a session of one's own", async () => {
  const alice = await new RawClient({ 'x-user': 'alice' }).open(`${cluster.first.origin}/mcp`);
  const answer = await as('mallory', alice.sessionId!).initialize(`${cluster.second.origin}/mcp`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('mcp-session-id')).not.toBe(alice.sessionId);
});

test('a session survives the refresh of its token', async () => {
  const alice = await new RawClient({ 'x-user': 'alice', 'x-token': 'old' }).open(`${cluster.first.origin}/mcp`);
  for (const [pod, token] of [
    [cluster.second, 'new'],
    [cluster.first, 'newer']
  ] as const) {
    const told = await as('alice', alice.sessionId!, token).callTool(`${pod.origin}/mcp`, 'whoami');
    expect(JSON.parse(String(told)) as WhoAmI).toMatchObject({ subject: 'alice', token });
  }
});

test('a session that was opened without a login is found by its id alone', async () => {
  const client = await new RawClient().open(`${cluster.first.origin}/mcp`);
  expect(await as('alice', client.sessionId!).callTool(`${cluster.second.origin}/mcp`, 'echo', { text: 'x' })).toBe(
    'x'
  );
});

test('transports that are wired by hand refuse other principals', async () => {
  const alice = await new RawClient({ 'x-user': 'alice' }).open(`${cluster.first.origin}/hand`);
  for (const pod of [cluster.first, cluster.second]) {
    const answer = await as('mallory', alice.sessionId!).request(`${pod.origin}/hand`, 'tools/list');
    expect([answer.status, answer.messages[0]?.error?.code]).toEqual([404, -32001]);
  }
  expect(await alice.callTool(`${cluster.second.origin}/hand`, 'echo', { text: 'mine' })).toBe('mine');
});
