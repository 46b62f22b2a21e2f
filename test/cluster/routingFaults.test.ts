import { Redis } from 'ioredis';
import { CAPABILITIES } from '../support/clients/answeringClient.js';
import { startPods, type Pod } from '../support/pods/process.js';
import { type FollowedRequest, type Message, RawClient } from '../support/clients/rawClient.js';
import { startRedisServer, type RedisServer } from '../support/servers/redisServer.js';
import { startTcpProxy, type TcpProxy } from '../support/servers/tcpProxy.js';
import { until } from '../support/until.js';
import { backstage, errorsOn, journalOf } from './cluster.js';
import { accept, answerOf, questionOn } from './questions.js';

/** Sessions live in one Redis, and pods talk through another: each behind a network that can be cut. */
let store: RedisServer;
let bus: RedisServer;
let toStore: TcpProxy;
let toBus: TcpProxy;
let first: Pod;
let second: Pod;
let admin: Redis;
beforeAll(async () => {
  [store, bus] = await Promise.all([startRedisServer(), startRedisServer()]);
  [toStore, toBus] = await Promise.all([startTcpProxy(store.port), startTcpProxy(bus.port)]);
  const at = ({ port }: TcpProxy) => `redis://127.0.0.1:${port}`;
  const flags = ['--redis', at(toStore), '--bus', at(toBus), '--store-timeout', '400'];
  [first, second] = (await startPods(2, 'test/cluster/pod.ts', flags)) as [Pod, Pod];
  admin = new Redis(bus.url);
});
afterAll(async () => {
  admin.disconnect();
  await Promise.all([first, second].map(pod => pod.stop('SIGKILL')));
  await Promise.all([toStore.stop(), toBus.stop()]);
  await Promise.all([store.stop(), bus.stop()]);
});

const mcp = (pod: Pod) => `${pod.origin}/mcp`;

interface Asking {
  client: RawClient;
  call: FollowedRequest;
  question: Message;
}

/** A session that is live on both pods, and asked on the first. */
async function openAsking(path = 'mcp'): Promise<Asking> {
  const client = await new RawClient().open(`${first.origin}/${path}`, { capabilities: CAPABILITIES });
  await client.callTool(`${second.origin}/${path}`, 'echo', { text: 'x' });
  const call = await client.followTool(`${first.origin}/${path}`, 'ask', { text: 'well?' });
  return { client, call, question: await questionOn(call) };
}

const channelOf = ({ sessionId }: RawClient) => `mcp:session:bus:session:${sessionId}`;

/** Waits until both pods hear what is said about a session. */
async function untilBothListen(client: RawClient): Promise<void> {
  await until('both pods listen', async () => {
    const [, listening] = await admin.pubsub('NUMSUB', channelOf(client));
    return listening === 2;
  });
}

/** A client sends an answer again after a 503: the pod's connection for publishing comes back by itself. */
async function untilAccepted(client: RawClient, answer: ReturnType<typeof accept>): Promise<void> {
  await until('the second pod accepts the answer', async () => {
    const { status } = await client.post(mcp(second), answer);
    expect([202, 503]).toContain(status);
    return status === 202;
  });
}

// Promise: F7
test('an answer that cannot be routed gets 503, and is accepted after the bus has recovered', async () => {
  const { client, call, question } = await openAsking();
  const since = (await journalOf(second)).length;
  toBus.cut();
  const answer = await client.post(mcp(second), accept(question.id, 'well'));
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
  expect(answer.messages[0]?.error).toEqual({
    code: expect.any(Number) as unknown,
    message: expect.any(String) as unknown
  });
  expect((await errorsOn(second, since))[0]).toContain('BusUnavailableError: publish failed');

  // What needs no other pod goes on.
  expect(await client.callTool(mcp(first), 'echo', { text: 'here' })).toBe('here');
  expect(await client.callTool(mcp(second), 'echo', { text: 'there' })).toBe('there');
  const own = await client.followTool(mcp(second), 'ask', { text: 'and here?' });
  const { id } = await questionOn(own);
  expect((await client.post(mcp(second), accept(id, 'yes'))).status).toBe(202);
  expect(await answerOf(own)).toEqual([expect.objectContaining({ text: 'and here?' })]);
  expect((await client.notify(mcp(second), 'notifications/roots/list_changed')).status).toBe(202);

  toBus.restore();
  await untilBothListen(client);
  await untilAccepted(client, accept(question.id, 'well'));
  expect((await answerOf(call))[0]!.result?.content).toEqual({ answer: 'well' });
});

// Promise: F7
test('a session that is opened while the bus is down is served, and other pods hear of it after the bus has recovered', async () => {
  toBus.cut();
  const client = await new RawClient().open(mcp(first), { capabilities: CAPABILITIES });
  expect(await client.callTool(mcp(second), 'echo', { text: 'x' })).toBe('x');
  toBus.restore();
  await untilBothListen(client);
  const call = await client.followTool(mcp(first), 'ask', { text: 'well?' });
  const { id } = await questionOn(call);
  await untilAccepted(client, accept(id, 'now'));
  expect((await answerOf(call))[0]!.result?.content).toEqual({ answer: 'now' });
  expect((await client.delete(mcp(first))).status).toBe(200);
  await until('nobody listens any more', async () => {
    const [, listening] = await admin.pubsub('NUMSUB', channelOf(client));
    return listening === 0;
  });
});

// Promise: L3
test('an answer gets 503 and never 404 while the store is down, even on the pod that asked', async () => {
  const { client, call, question } = await openAsking();
  toStore.cut();
  for (const pod of [first, second]) {
    const answer = await client.post(mcp(pod), accept(question.id, 'well'));
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
  }
  toStore.restore();
  await untilAccepted(client, accept(question.id, 'well'));
  expect((await answerOf(call))[0]!.result?.content).toEqual({ answer: 'well' });
});

// Promise: F7
test('subscriptions that the bus has dropped are restored without a request', async () => {
  const { client, call, question } = await openAsking();
  const stream = await client.stream(mcp(first));
  for (let round = 0; round < 3; round++) {
    expect(await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBeGreaterThan(0);
    await untilBothListen(client);
    await backstage(second, 'say', { sessionId: client.sessionId!, texts: [`round ${round}`] });
    await until('it has arrived', () => stream.messages.length === round + 1);
  }
  expect((await client.post(mcp(second), accept(question.id, 'well'))).status).toBe(202);
  expect((await answerOf(call))[0]!.result?.content).toEqual({ answer: 'well' });
  stream.close();
});

test("the bus's Redis is killed and another takes its place, empty: sessions go on as before", async () => {
  const { client, call, question } = await openAsking();
  await bus.kill();
  expect(await client.callTool(mcp(second), 'echo', { text: 'meanwhile' })).toBe('meanwhile');
  await bus.restart();
  await until('the admin is back', async () => (await admin.ping()) === 'PONG');
  await untilBothListen(client);
  await untilAccepted(client, accept(question.id, 'well'));
  expect((await answerOf(call))[0]!.result?.content).toEqual({ answer: 'well' });
});

test('a store without a bus serves requests of one pod and reports messages for other pods', async () => {
  const path = 'five';
  const [one, two] = [`${first.origin}/${path}`, `${second.origin}/${path}`];
  const { client, call, question } = await openAsking(path);
  const elsewhere = await client.post(two, accept(question.id, 'lost'));
  expect([elsewhere.status, elsewhere.headers.get('retry-after')]).toEqual([503, '1']);
  expect((await client.post(one, accept(question.id, 'well'))).status).toBe(202);
  expect((await answerOf(call))[0]!.result?.content).toEqual({ answer: 'well' });

  const stream = await client.stream(one);
  await backstage(first, 'say', { sessionId: client.sessionId!, texts: ['here'] });
  await until('it has arrived', () => stream.messages.length === 1);
  for (let i = 0; i < 5; i++) {
    await backstage(second, 'say', { sessionId: client.sessionId!, texts: ['there'] });
    expect((await client.notify(two, 'notifications/roots/list_changed')).status).toBe(202);
    expect((await client.notify(two, 'notifications/cancelled', { requestId: 999 })).status).toBe(202);
  }
  await client.request(one, 'logging/setLevel', { level: 'error' });
  await backstage(first, 'say', { sessionId: client.sessionId!, texts: ['filtered'] });
  expect(await client.callTool(two, 'log', { text: 'x' })).toBe('logged');
  expect(stream.messages).toHaveLength(1);
  expect((await client.delete(two)).status).toBe(200);
  expect(await client.callTool(one, 'echo', { text: 'x' })).toBe(404);
  await stream.ended;

  // Each pod says once, and not for each session, what it cannot do.
  await (await openAsking(path)).client.delete(two);
  for (const pod of [first, second]) {
    const said = (await errorsOn(pod)).filter(error => error.includes('The session store has no bus'));
    expect(said).toHaveLength(1);
  }
});

test("the store's Redis is killed and starts empty: old sessions are gone, new ones are routed", async () => {
  const { client, call } = await openAsking();
  await store.kill();
  const during = await client.request(mcp(second), 'ping');
  expect(during.status).toBe(503);
  await store.restart();
  await until('the store is back', async () => {
    const { status } = await client.request(mcp(second), 'ping');
    expect([404, 503]).toContain(status);
    return status === 404;
  });
  expect((await client.request(mcp(first), 'ping')).status).toBe(404);
  await call.stream.untilEnded();
  const anew = await openAsking();
  expect((await anew.client.post(mcp(second), accept(anew.question.id, 'anew'))).status).toBe(202);
  expect((await answerOf(anew.call))[0]!.result?.content).toEqual({ answer: 'anew' });
});
