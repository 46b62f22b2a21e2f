import { InMemoryEventStore, InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { EventStream } from '../../support/clients/eventStream.js';
import { type FollowedRequest, RawClient } from '../../support/clients/rawClient.js';
import { until } from '../../support/until.js';
import { type LocalPod, startPodForTest } from '../../support/pods/localPod.js';

/** A request that runs until its client cancels it. */
async function hang(pod: LocalPod, client: RawClient): Promise<FollowedRequest> {
  const call = await client.followTool(pod.url, 'hang');
  await until('it runs', () => pod.count('tool', client.sessionId) > 0);
  return call;
}

async function cancel(pod: LocalPod, client: RawClient, requestId: number, at = pod): Promise<void> {
  expect((await client.notify(at.url, 'notifications/cancelled', { requestId })).status).toBe(202);
  await until('it is aborted', () => pod.count('aborted', client.sessionId) > 0);
}

function resume(pod: LocalPod, client: RawClient, { stream }: FollowedRequest): Promise<EventStream> {
  const headers = {
    'mcp-session-id': client.sessionId!,
    'mcp-protocol-version': '2025-11-25',
    accept: 'text/event-stream',
    'last-event-id': stream.lastEventId!
  };
  return EventStream.open(pod.url, { headers });
}

describe('a request that was cancelled', () => {
  test.each([
    ['before its client leaves', true],
    ['when its client has left', false]
  ])('%s does not keep its session live', async (_when, first) => {
    const pod = await startPodForTest({ sessionStore: new InMemorySessionStore(), idleTimeoutMs: 200 });
    const client = await new RawClient().open(pod.url);
    const { id, stream } = await hang(pod, client);
    if (!first) stream.drop();
    await cancel(pod, client, id);
    if (first) stream.drop();
    await until('the session is forgotten', () => pod.handler.liveSessions === 0);
  });

  test('does not delay a pod that shuts down, even if its client holds the stream', async () => {
    const pod = await startPodForTest();
    const client = await new RawClient().open(pod.url);
    const { id } = await hang(pod, client);
    await cancel(pod, client, id);
    const begun = performance.now();
    await pod.handler.close({ drainMs: 10_000 });
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  test('does not keep a session that is gone from the store', async () => {
    const sessionStore = new InMemorySessionStore();
    const pod = await startPodForTest({ sessionStore, sessionFreshnessMs: 5000 });
    const client = await new RawClient().open(pod.url);
    const { id } = await hang(pod, client);
    await cancel(pod, client, id);
    await sessionStore.deleteSession(client.sessionId!);
    expect(await client.callTool(pod.url, 'echo', { text: 'x' })).toBe('x');
    await until('the session is let go', () => pod.handler.liveSessions === 0);
  });

  test('leaves its stream open for a client that stays on it', async () => {
    const pod = await startPodForTest({ sessionStore: new InMemorySessionStore() });
    const client = await new RawClient().open(pod.url);
    const { id, stream } = await hang(pod, client);
    await cancel(pod, client, id);
    expect(await client.callTool(pod.url, 'echo', { text: 'x' })).toBe('x');
    expect(stream.ended).toBe(false);
    stream.drop();
  });
});

describe('with enableJsonResponse, a request that was cancelled', () => {
  const call = (id: number, name: string) => {
    return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: { text: 'x' } } };
  };

  test('is answered that no response follows', async () => {
    const pod = await startPodForTest({ sessionStore: new InMemorySessionStore(), enableJsonResponse: true });
    const client = await new RawClient().open(pod.url);
    const answer = client.post(pod.url, call(1, 'hang'));
    await until('it runs', () => pod.count('tool', client.sessionId) === 1);
    await cancel(pod, client, 1);
    const { status, text } = await answer;
    expect([status, text]).toEqual([202, '']);
  });

  test('does not take the answers of its batch along', async () => {
    const pod = await startPodForTest({ sessionStore: new InMemorySessionStore(), enableJsonResponse: true });
    const client = await new RawClient().open(pod.url);
    const answer = client.post(pod.url, [call(1, 'hang'), call(2, 'echo')]);
    await until('both run', () => pod.count('tool', client.sessionId) === 2);
    await cancel(pod, client, 1);
    const { status, messages } = await answer;
    expect([status, messages.map(({ id }) => id)]).toEqual([200, [2]]);
  });
});

describe('a client that has cancelled its request and moves to another pod', () => {
  async function startTwo(): Promise<[LocalPod, LocalPod]> {
    const shared = { sessionStore: new InMemorySessionStore(), eventStore: new InMemoryEventStore(), leaseMs: 500 };
    return [await startPodForTest(shared), await startPodForTest(shared)];
  }

  test('gets an answer that no response follows', async () => {
    const [a, b] = await startTwo();
    const client = await new RawClient().open(a.url);
    const call = await hang(a, client);
    await call.stream.until(() => call.stream.lastEventId !== undefined);
    await cancel(a, client, call.id, b);
    call.stream.drop();
    expect((await resume(b, client, call)).status).toBe(204);
  });

  test('is released if the cancellation arrives afterwards', async () => {
    const [a, b] = await startTwo();
    const client = await new RawClient().open(a.url);
    const call = await hang(a, client);
    await call.stream.until(() => call.stream.lastEventId !== undefined);
    call.stream.drop();
    const resumed = await resume(b, client, call);
    expect(resumed.status).toBe(200);
    await cancel(a, client, call.id, b);
    await resumed.untilEnded();
  });
});
