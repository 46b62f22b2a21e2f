import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { CAPABILITIES } from '../support/clients/answeringClient.js';
import type { Pod } from '../support/pods/process.js';
import { RawClient } from '../support/clients/rawClient.js';
import { until } from '../support/until.js';
import { useCluster, errorsOn, journalOf } from './cluster.js';
import { accept, answerOf, instanceIn, questionOn } from './questions.js';

const cluster = useCluster(2);
let redis: Redis;
beforeAll(() => void (redis = new Redis(cluster.backend.redisUrl)));
afterAll(() => redis.disconnect());

const mcp = (pod: Pod) => `${pod.origin}/mcp`;

/** A session with a question open on each pod. */
async function openOnBoth() {
  const client = await new RawClient().open(mcp(cluster.first), { capabilities: CAPABILITIES });
  const calls = [
    await client.followTool(mcp(cluster.first), 'ask', { text: 'on the first' }),
    await client.followTool(mcp(cluster.second), 'ask', { text: 'on the second' })
  ] as const;
  const questions = [await questionOn(calls[0]), await questionOn(calls[1])] as const;
  /** Everything that was begun is still there, and comes to its end. */
  const finish = async () => {
    expect(calls.map(({ stream }) => [stream.messages.length, stream.ended])).toEqual([
      [1, false],
      [1, false]
    ]);
    await client.post(mcp(cluster.second), accept(questions[0].id, 'one'));
    await client.post(mcp(cluster.first), accept(questions[1].id, 'two'));
    const answers = (await Promise.all(calls.map(answerOf))).flat().map(({ result }) => result?.content);
    expect(answers).toEqual([{ answer: 'one' }, { answer: 'two' }]);
    expect((await client.delete(mcp(cluster.first))).status).toBe(200);
  };
  return { client, questions, finish };
}

const notAsked = 'Error: Dropped a response of the client to a request that is not open';

test('answers to questions that no server asked are dropped and reported on every pod', async () => {
  const { client, questions, finish } = await openOnBoth();
  const [here, elsewhere] = questions.map(instanceIn);
  const badlyFormed = ['', ' ', ':0', '0', 0, 7, -1, here, `${here}:`, `${here}:x`, `${here}:null`, `${here}:[0]`];
  const otherwiseWritten = [`${here}:"0"`, `${here}:0.0`, `${here}:-0`, `${here}: 0`, `${here}:0 `, `${here}:0e5`];
  const neverAsked = [`${here}:7`, `${here!.toUpperCase()}:0`, `${here}:9007199254740993`, `x${here}:0`];
  const forged = [...badlyFormed, ...otherwiseWritten, ...neverAsked];
  const since = [(await journalOf(cluster.first)).length, (await journalOf(cluster.second)).length] as const;
  for (const id of forged) {
    const { status, text } = await client.post(mcp(cluster.first), accept(id, 'forged'));
    expect([id, status, text]).toEqual([id, 202, '']);
  }
  expect(await errorsOn(cluster.first, since[0])).toEqual(forged.map(() => notAsked));

  // On their way to the pod that they name, and to one that is not there.
  for (const id of [`${elsewhere}:7`, `${elsewhere}:`, `${elsewhere}:"0"`, 'abcdefabcdef:0']) {
    expect((await client.post(mcp(cluster.first), accept(id, 'forged'))).status).toBe(202);
  }
  await until('they are reported', async () => (await errorsOn(cluster.second, since[1])).length === 3);
  expect(await errorsOn(cluster.second, since[1])).toEqual([notAsked, notAsked, notAsked]);
  const nameless = { jsonrpc: '2.0', error: { code: -1, message: 'of nothing' } };
  expect((await client.post(mcp(cluster.first), nameless)).status).toBe(202);
  expect(await errorsOn(cluster.first, since[0])).toHaveLength(forged.length + 1);
  const journal = [await journalOf(cluster.first), await journalOf(cluster.second)].flat();
  expect(journal.filter(({ what, name }) => what === 'server error' && name?.includes('unknown'))).toEqual([]);
  await finish();
});

// Promise: L5
test("one session's answers, progress and cancellations do not reach another's questions", async () => {
  const { client, questions, finish } = await openOnBoth();
  const stranger = await new RawClient().open(mcp(cluster.first), { capabilities: CAPABILITIES });
  for (const pod of [cluster.first, cluster.second]) {
    for (const { id } of questions) {
      expect((await stranger.post(mcp(pod), accept(id, 'mine'))).status).toBe(202);
      await stranger.notify(mcp(pod), 'notifications/progress', { progressToken: id, progress: 1 });
    }
    for (const requestId of [1, 2, 3]) await stranger.notify(mcp(pod), 'notifications/cancelled', { requestId });
    const { status } = await stranger.notify(mcp(pod), 'notifications/roots/list_changed');
    expect(status).toBe(202);
  }
  for (const pod of [cluster.first, cluster.second]) {
    const names = (await journalOf(pod, client.sessionId)).map(({ name }) => name);
    expect(names).not.toContain('notifications/progress');
    expect(names).not.toContain('notifications/roots/list_changed');
  }
  await finish();
});

const message = { jsonrpc: '2.0', method: 'notifications/roots/list_changed' };
const from = 'abcdefabcdef';

test.each([
  ['no JSON', 'ended', 'not valid JSON'],
  ['nothing', '', 'JSON'],
  ['null', null, 'it is not an object'],
  ['a list', [], 'of version undefined'],
  ['a number', 7, 'it is not an object'],
  ['no version', { from, type: 'ended' }, 'of version undefined'],
  ['a newer version', { v: 2, from, type: 'ended' }, 'it is of version 2, this pod supports 1'],
  ['a newer version and a new type', { v: 2, from, kind: { of: 'thing' } }, 'of version 2'],
  ['a version in words', { v: '1', from, type: 'ended' }, 'of version 1'],
  ['no sender', { v: 1, type: 'ended' }, 'no sender or no type'],
  ['no type', { v: 1, from }, 'no sender or no type'],
  ['a type from the future', { v: 1, from, type: 'ended-softly' }, "its type 'ended-softly' is unknown"],
  ['a type that every object has', { v: 1, from, type: 'constructor' }, "its type 'constructor' is unknown"],
  ['a long type', { v: 1, from, type: 'x'.repeat(10_000) }, `its type '${'x'.repeat(40)}' is unknown`],
  ['no message', { v: 1, from, type: 'notification' }, 'its message is not'],
  [
    'a message that is none',
    { v: 1, from, type: 'notification', message: { id: {} } },
    'its message is not a JSON-RPC message'
  ],
  ['no addressee', { v: 1, from, type: 'response', message: { jsonrpc: '2.0', id: 1, result: {} } }, 'it has no to'],
  ['no stream', { v: 1, from, type: 'stream-close' }, 'it has no streamId'],
  [
    'an event id that is none',
    { v: 1, from, type: 'standalone', message, eventId: 7 },
    'its eventId has the wrong type'
  ]
])('a message between pods with %s is reported by each pod that hears it, and changes nothing', async (...each) => {
  const [, sent, reason] = each;
  const { client, finish } = await openOnBoth();
  const stream = await client.stream(mcp(cluster.second));
  const before = [await journalOf(cluster.first), await journalOf(cluster.second)] as const;
  const text = typeof sent === 'string' ? sent : JSON.stringify(sent);
  expect(await redis.publish(`pod:bus:session:${client.sessionId}`, text)).toBe(2);
  for (const [index, pod] of [cluster.first, cluster.second].entries()) {
    const since = before[index]!.length;
    const [error] = await until('it is reported', async () => {
      const errors = await errorsOn(pod, since);
      return errors.length > 0 && errors;
    });
    expect(error).toContain('BusUnavailableError: Dropped a message of another pod: ');
    expect(error).toContain(reason);
    // What a stranger sent must not fill the log.
    expect(error!.length).toBeLessThan(1000);
    const seen = (await journalOf(pod)).slice(since).map(({ what }) => what);
    expect(seen.sort()).toEqual(['error', 'server error']);
  }
  stream.close();
  await finish();
});

test('well-formed messages about unknown requests change nothing', async () => {
  const { client, finish } = await openOnBoth();
  const stream = await client.stream(mcp(cluster.second));
  const streamId = `${client.sessionId}:abcdefabcdef..x`;
  const sent = [
    { type: 'response', to: from, message: { jsonrpc: '2.0', id: `${from}:0`, result: {} } },
    { type: 'progress', to: from, message: { ...message, method: 'notifications/progress' } },
    { type: 'cancelled', message: { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 999 } } },
    { type: 'cancelled', message: { jsonrpc: '2.0', method: 'notifications/cancelled' } },
    { type: 'standalone-held', to: from },
    { type: 'stream-resumed', streamId },
    { type: 'stream-state', to: from, streamId, open: false },
    { type: 'stream-event', streamId, message },
    { type: 'stream-close', streamId },
    { type: 'changed' }
  ];
  const before = [(await journalOf(cluster.first)).length, (await journalOf(cluster.second)).length] as const;
  const channel = `pod:bus:session:${client.sessionId}`;
  for (const body of sent) {
    expect(await redis.publish(channel, JSON.stringify({ v: 1, from, ...body }))).toBe(2);
    const newer = { ...body, v: 2, from, andMore: [body] };
    expect(await redis.publish(channel, JSON.stringify(newer))).toBe(2);
  }
  for (const [index, pod] of [cluster.first, cluster.second].entries()) {
    await until('all that is new is reported', async () => (await errorsOn(pod, before[index])).length === sent.length);
    const errors = await errorsOn(pod, before[index]);
    expect(errors.filter(error => !error.includes('of version 2'))).toEqual([]);
    const names = (await journalOf(pod)).slice(before[index]).filter(({ what }) => what === 'message');
    expect(names).toEqual([]);
  }
  expect(stream.messages).toEqual([]);
  stream.close();
  await finish();
});

test('a message about a session that is live on no pod reaches no pod', async () => {
  const { finish } = await openOnBoth();
  const since = [(await journalOf(cluster.first)).length, (await journalOf(cluster.second)).length] as const;
  for (const text of ['x', JSON.stringify({ v: 1, from, type: 'ended' })]) {
    expect(await redis.publish(`pod:bus:session:${randomUUID()}`, text)).toBe(0);
  }
  await finish();
  expect([...(await errorsOn(cluster.first, since[0])), ...(await errorsOn(cluster.second, since[1]))]).toEqual([]);
});
