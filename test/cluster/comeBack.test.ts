import { AccountingClient } from '../support/clients/accountingClient.js';
import { EventStream } from '../support/clients/eventStream.js';
import type { Pod } from '../support/pods/process.js';
import { RawClient } from '../support/clients/rawClient.js';
import { until } from '../support/until.js';
import { useCluster } from './cluster.js';

const urlOf = (pod: Pod) => `${pod.origin}/mcp`;

function comeBack(pod: Pod, client: RawClient, lastEventId: string, version = client.protocolVersion!) {
  const session = { 'mcp-session-id': client.sessionId!, 'mcp-protocol-version': version };
  const headers = { ...session, accept: 'text/event-stream', 'last-event-id': lastEventId };
  return EventStream.open(urlOf(pod), { headers });
}

describe.each(['1', '2'])('on version %s of the SDK,', sdk => {
  const cluster = useCluster(2, { script: 'test/support/pods/busyPod.ts', flags: ['--sdk', sdk], backend: 'redis' });

  test('a client that resumes a stream after its final error is answered 204', async () => {
    const client = await new RawClient().open(urlOf(cluster.first));
    const { stream } = await client.follow(urlOf(cluster.first), 'no/such/method');
    await stream.untilEnded();
    expect(stream.messages[0]?.error).toBeDefined();
    for (const pod of cluster.pods) expect((await comeBack(pod, client, stream.lastEventId!)).status).toBe(204);
  });

  test('a client that resumes again after the error about a killed pod is answered 204', async () => {
    const doomed = await cluster.addExtraPod();
    const client = await new RawClient().open(urlOf(doomed));
    const { stream } = await client.followTool(urlOf(doomed), 'work', { token: 'x', ms: 60_000 });
    await stream.until(() => stream.lastEventId !== undefined);
    await doomed.stop('SIGKILL');
    const told = await comeBack(cluster.first, client, stream.lastEventId!);
    await told.untilEnded();
    expect(told.messages.map(({ error }) => error?.message)).toEqual(['The server that ran this request is gone']);
    for (const pod of cluster.pods) expect((await comeBack(pod, client, told.lastEventId!)).status).toBe(204);
  });

  test('a resumed stream begins with its cursor, for clients that understand an event without data', async () => {
    const client = await new RawClient().open(urlOf(cluster.first));
    const { stream } = await client.followTool(urlOf(cluster.first), 'work', { token: 'x', ms: 600 });
    await stream.until(() => stream.lastEventId !== undefined);
    stream.drop();
    const cursor = stream.lastEventId!;
    const older = await comeBack(cluster.second, client, cursor, '2025-06-18');
    const again = await comeBack(cluster.second, client, cursor);
    await again.until(() => again.events.length > 0, 300);
    expect(again.events).toEqual([{ id: cursor, message: undefined }]);
    await older.untilEnded();
    expect(older.events).toEqual([]);
    await again.untilEnded();
    expect(again.messages[0]?.result).toBeDefined();
  });

  test("the SDK's client resumes once after each error and keeps its standalone stream", async () => {
    const gets: [string | null, number][] = [];
    const watched: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (init?.method === 'GET') gets.push([new Headers(init.headers).get('last-event-id'), response.status]);
      return response;
    };
    const client = await AccountingClient.connect('once', `${cluster.proxy.origin}/mcp`, { fetch: watched });
    await until('it listens', () => client.streams === 1);
    for (let i = 0; i < 3; i++) expect((await client.request('no/such/method')).outcome).toBe('gone');
    await until('it has come back after each', () => gets.length === 4);
    expect(gets.slice(1).map(([, status]) => status)).toEqual([204, 204, 204]);
    await client.call('work', { ms: 500 });
    expect(gets).toHaveLength(4);
    await client.leave();
  });
});
