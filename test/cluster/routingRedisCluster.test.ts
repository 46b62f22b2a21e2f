import { Redis } from 'ioredis';
import { AnsweringClient, CAPABILITIES } from '../support/clients/answeringClient.js';
import { QUESTIONS } from '../support/pods/askingTools.js';
import { startPods, type Pod } from '../support/pods/process.js';
import { RawClient } from '../support/clients/rawClient.js';
import { startRedisCluster, type RedisCluster } from '../support/servers/redisCluster.js';
import { startRoundRobin, type RoundRobin } from '../support/servers/roundRobin.js';
import { until } from '../support/until.js';
import { accept, answerOf, questionOn } from './questions.js';
import { backstage } from './cluster.js';

let redis: RedisCluster;
let admins: Redis[];
beforeAll(async () => {
  redis = await startRedisCluster();
  admins = redis.masters.map(({ url }) => new Redis(url));
});
afterAll(async () => {
  admins.forEach(admin => admin.disconnect());
  await redis.stop();
});

describe.each(['6', '5'])('with ioredis %s', version => {
  let pods: Pod[];
  let first: Pod;
  let second: Pod;
  let proxy: RoundRobin;
  beforeAll(async () => {
    const nodes = redis.nodes.map(({ port }) => port).join(',');
    pods = await startPods(2, 'test/cluster/pod.ts', ['--nodes', nodes, '--ioredis', version]);
    [first, second] = pods as [Pod, Pod];
    proxy = await startRoundRobin(pods.map(({ port }) => port));
  });
  afterAll(async () => {
    await proxy.stop();
    await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
  });

  const mcp = (pod: Pod) => `${pod.origin}/mcp`;

  /** Sessions enough that each master has the channel of some. */
  const openMany = () =>
    Promise.all(
      Array.from({ length: 30 }, async () => {
        const client = await new RawClient().open(mcp(first), { capabilities: CAPABILITIES });
        await client.request(mcp(second), 'ping');
        return client;
      })
    );

  async function expectRouted(client: RawClient): Promise<void> {
    const call = await client.followTool(mcp(first), 'ask', { text: 'well?' });
    const { id } = await questionOn(call);
    expect((await client.post(mcp(second), accept(id, 'well'))).status).toBe(202);
    expect((await answerOf(call))[0]!.result?.content).toEqual({ answer: 'well' });
  }

  /** How many subscriptions each master holds for this session. */
  const listeningTo = (client: RawClient) =>
    Promise.all(
      admins.map(async admin => {
        const answer = await admin.call('PUBSUB', 'SHARDNUMSUB', `pod:bus:session:${client.sessionId}`);
        return (answer as [string, number])[1];
      })
    );

  test("the SDK's client is asked by both pods, and no answer crosses", async () => {
    const client = await AnsweringClient.connect(`${proxy.origin}/mcp`);
    const calls = QUESTIONS.flatMap(kind =>
      [0, 1].map(async i => {
        const asked = await client.haveAsked({ kind, text: `${kind} ${i}`, count: 3 });
        expect(asked.map(({ text, result }) => [text, result?._meta])).toEqual(
          [0, 1, 2].map(n => [`${kind} ${i}/${n}`, { text: `${kind} ${i}/${n}` }])
        );
      })
    );
    await Promise.all(calls);
    await client.leave();
  });

  test('messages of a session go through one master, and sessions are spread over all masters', async () => {
    const clients = await openMany();
    await Promise.all(clients.map(expectRouted));
    const listening = await Promise.all(clients.map(listeningTo));
    for (const counts of listening) expect(counts.toSorted()).toEqual([0, 0, 2]);
    for (const [index] of admins.entries()) expect(listening.some(counts => counts[index] === 2)).toBe(true);

    const streams = await Promise.all(clients.map(client => client.stream(mcp(second))));
    await Promise.all(
      clients.map(({ sessionId }) => backstage(first, 'say', { sessionId: sessionId!, texts: ['hello'] }))
    );
    await until('all have heard it', () => streams.every(({ messages }) => messages.length === 1));
    await Promise.all(clients.map(client => client.delete(mcp(first))));
    await Promise.all(streams.map(({ ended }) => ended));
    await until('nobody listens', async () => (await Promise.all(clients.map(listeningTo))).flat().every(n => n === 0));
  });

  test('subscriptions that the masters have dropped come back by themselves', async () => {
    const clients = await openMany();
    for (const admin of admins) expect(await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')).toBe(2);
    await until('both listen again', async () =>
      (await Promise.all(clients.map(listeningTo))).every(counts => counts.includes(2))
    );
    await Promise.all(clients.map(expectRouted));
  });
});
