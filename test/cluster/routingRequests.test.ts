import { AnsweringClient, CAPABILITIES } from '../support/clients/answeringClient.js';
import { QUESTIONS } from '../support/pods/askingTools.js';
import type { Pod } from '../support/pods/process.js';
import { RawClient } from '../support/clients/rawClient.js';
import { until } from '../support/until.js';
import { backstage, useCluster, errorsOn, journalOf } from './cluster.js';
import { accept, answerOf, isQuestion, questionOn } from './questions.js';

const cluster = useCluster(3);

const open = (url: string) => new RawClient().open(url, { capabilities: CAPABILITIES });
const mcp = (pod: Pod) => `${pod.origin}/mcp`;

test.each([
  ['mcp', 2],
  ['mcp', 3],
  ['low', 3],
  ['hand', 2]
])('/%s: questions that %i pods ask at once each get their own answer', async (path, podCount) => {
  cluster.proxy.setPods(cluster.pods.slice(0, podCount).map(pod => pod.port));
  const client = await AnsweringClient.connect(`${cluster.proxy.origin}/${path}`);
  const calls = QUESTIONS.flatMap(kind =>
    Array.from({ length: podCount }, async (_, i) => {
      const text = `${kind} ${i}`;
      const asked = await client.haveAsked({ kind, text, count: 5 });
      expect(asked.map(each => [each.text, each.result?._meta])).toEqual(
        Array.from({ length: 5 }, (_, n) => [`${text}/${n}`, { text: `${text}/${n}` }])
      );
    })
  );
  await Promise.all(calls);

  // On the wire each id names its pod; behind the name all of them count alike.
  const ids = client.questionIds.map(id => /^([0-9a-f]{12}):(\d+)$/.exec(String(id))!.slice(1));
  const firsts = ids.filter(([, inner]) => inner === '0').map(([instance]) => instance);
  expect(new Set(firsts).size).toBe(podCount);
  expect(new Set(client.questionIds).size).toBe(calls.length * 5);
  await client.leave();
});

test.each([
  ['a pod that has the session live', 1, 'mcp'],
  ['a pod that has never seen it', 2, 'mcp'],
  ['the pod that asks', 0, 'mcp'],
  ['the web-standard side of another pod', 1, 'fetch']
])('an answer that comes to %s is answered 202 and reaches the tool', async (_where, index, path) => {
  const client = await open(mcp(cluster.first));
  if (index === 1) await client.callTool(mcp(cluster.second), 'echo', { text: 'x' });
  const call = await client.followTool(mcp(cluster.first), 'ask', { text: 'who?' });
  const question = await questionOn(call);
  expect(question).toMatchObject({ method: 'elicitation/create', params: { message: 'who?' } });
  const answer = await client.post(`${cluster.pods[index]!.origin}/${path}`, accept(question.id, 'me'));
  expect([answer.status, answer.text]).toEqual([202, '']);
  expect(await answerOf(call)).toEqual([
    { text: 'who?', result: { action: 'accept', content: { answer: 'me' } }, progress: [] }
  ]);
});

test('a refusal of the client is routed like an answer', async () => {
  const client = await open(mcp(cluster.first));
  const call = await client.followTool(mcp(cluster.first), 'ask', { kind: 'sampling', text: 'x' });
  const { id } = await questionOn(call);
  const refusal = { jsonrpc: '2.0', id, error: { code: -1, message: 'not today' } };
  expect((await client.post(mcp(cluster.second), refusal)).status).toBe(202);
  expect(await answerOf(call)).toEqual([expect.objectContaining({ error: 'MCP error -1: not today' })]);
});

test('answers in one batch reach several pods', async () => {
  const client = await new RawClient().open(mcp(cluster.first), {
    capabilities: CAPABILITIES,
    protocolVersion: '2025-03-26'
  });
  const calls = await Promise.all(
    cluster.pods.map(pod => client.followTool(mcp(pod), 'ask', { text: String(pod.port) }))
  );
  const questions = await Promise.all(calls.map(questionOn));
  const answers = questions.map(({ id, params }) => accept(id, `${String(params?.message)}!`));
  expect((await client.post(mcp(cluster.third), answers)).status).toBe(202);
  const asked = await Promise.all(calls.map(answerOf));
  expect(asked.flat().map(({ result }) => result?.content)).toEqual(
    cluster.pods.map(({ port }) => ({ answer: `${port}!` }))
  );
});

test('a question without a call goes out on the standalone stream of another pod, and is answered on a third', async () => {
  const client = await open(mcp(cluster.first));
  await client.callTool(mcp(cluster.second), 'echo', { text: 'x' });
  const stream = await client.stream(mcp(cluster.second));
  for (const [index, kind] of QUESTIONS.entries()) {
    const asked = backstage(cluster.first, 'ask', { sessionId: client.sessionId!, kind, text: kind });
    const { id } = await until('it is asked', () => stream.messages.filter(isQuestion)[index]);
    const results = {
      sampling: { model: 'm', role: 'assistant', content: { type: 'text', text: kind } },
      form: { action: 'decline' },
      url: { action: 'accept' },
      roots: { roots: [] },
      ping: {}
    };
    expect((await client.post(mcp(cluster.third), { jsonrpc: '2.0', id, result: results[kind] })).status).toBe(202);
    expect(await asked).toEqual([{ text: kind, result: results[kind], progress: [] }]);
  }
  stream.close();
});

test("the client's progress reaches the pod that asks, under the token that its server gave", async () => {
  const client = await open(mcp(cluster.first));
  const [call, other] = [
    await client.followTool(mcp(cluster.first), 'ask', { text: 'how far?' }),
    await client.followTool(mcp(cluster.second), 'ask', { text: 'and you?' })
  ];
  const questions = await Promise.all([call, other].map(questionOn));
  const tokens = questions.map(({ params }) => (params?._meta as Record<string, unknown>).progressToken);
  expect(tokens).toEqual(questions.map(({ id }) => id));
  const report = (pod: Pod, progressToken: unknown, progress: number) =>
    client.notify(mcp(pod), 'notifications/progress', { progressToken, progress, total: 3 });
  for (const [pod, progress] of [cluster.second, cluster.third, cluster.first].map((pod, i) => [pod, i + 1] as const)) {
    expect((await report(pod, tokens[0], progress)).status).toBe(202);
    // Pods are in order with themselves alone.
    await until('it has arrived', async () => (await progressSeenOn(cluster.first, client)).length === progress);
  }
  expect((await report(cluster.third, tokens[1], 3)).status).toBe(202);
  await until('it has arrived', async () => (await progressSeenOn(cluster.second, client)).length === 1);
  await client.post(mcp(cluster.third), accept(questions[0]!.id, 'there'));
  await client.post(mcp(cluster.third), accept(questions[1]!.id, 'there too'));

  const [asked, otherAsked] = [await answerOf(call), await answerOf(other)];
  expect(asked[0]!.progress).toEqual([1, 2, 3].map(progress => ({ progress, total: 3 })));
  expect(otherAsked[0]!.progress).toEqual([{ progress: 3, total: 3 }]);
  expect(await progressSeenOn(cluster.first, client)).toEqual([0, 0, 0]);
  expect(await progressSeenOn(cluster.second, client)).toEqual([0]);
  expect(await progressSeenOn(cluster.third, client)).toEqual([]);
});

async function progressSeenOn(pod: Pod, client: RawClient): Promise<unknown[]> {
  const seen = (await journalOf(pod, client.sessionId)).filter(({ name }) => name === 'notifications/progress');
  return seen.map(({ params }) => (params as Record<string, unknown>).progressToken);
}

test.each([
  ['its own signal', { abortAfterMs: 100 }, /abort|timeout/i],
  ['the time limit of the request', { timeoutMs: 100 }, /-32001: Request timed out/]
])('a question that its server cancels by %s is cancelled under its id on the wire', async (_how, args, error) => {
  cluster.proxy.setPods(cluster.pods.map(pod => pod.port));
  const client = await AnsweringClient.connect(`${cluster.proxy.origin}/mcp`);
  client.ignored = 'ignored';
  // Questions with the same inner id on the other pods stay open meanwhile.
  const asked = await Promise.all([
    client.haveAsked({ text: 'a' }),
    client.haveAsked({ text: 'ignored', ...args }),
    client.haveAsked({ text: 'b' })
  ]);
  expect(asked.flat().map(each => each.result?._meta)).toEqual([{ text: 'a' }, undefined, { text: 'b' }]);
  expect(asked[1][0]!.error).toMatch(error);
  await until('the client knows', () => client.takenBack.length === 1);
  expect(client.questionIds).toContain(client.takenBack[0]);
  await client.leave();
});

test('a repeated or late answer is reported and not delivered again', async () => {
  const client = await open(mcp(cluster.first));
  const since = (await journalOf(cluster.first)).length;
  const call = await client.followTool(mcp(cluster.first), 'ask', { text: 'x', timeoutMs: 400, count: 1 });
  const late = await client.followTool(mcp(cluster.first), 'ask', { text: 'y', timeoutMs: 1 });
  const [{ id }, { id: lateId }] = [await questionOn(call), await questionOn(late)];
  const statuses = await Promise.all(cluster.pods.map(pod => client.post(mcp(pod), accept(id, 'once'))));
  expect(statuses.map(({ status }) => status)).toEqual([202, 202, 202]);
  expect(await answerOf(call)).toEqual([expect.objectContaining({ result: accept(id, 'once').result })]);
  expect(await answerOf(late)).toEqual([
    expect.objectContaining({ error: expect.stringContaining('timed out') as unknown })
  ]);
  expect((await client.post(mcp(cluster.second), accept(lateId, 'too late'))).status).toBe(202);

  const dropped = 'Error: Dropped a response of the client to a request that is not open';
  await until('all are reported', async () => (await errorsOn(cluster.first, since)).length === 3);
  expect(await errorsOn(cluster.first, since)).toEqual([dropped, dropped, dropped]);
  // The server has seen none of them.
  const journal = await journalOf(cluster.first, client.sessionId);
  const unknown = journal.filter(({ what, name }) => what === 'server error' && name?.includes('unknown'));
  expect(unknown).toEqual([]);
});
