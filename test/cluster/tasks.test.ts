import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'mcp-sdk-upstream/client/index.js';
import { StreamableHTTPClientTransport } from 'mcp-sdk-upstream/client/streamableHttp.js';
import { ElicitRequestSchema, type Task } from 'mcp-sdk-upstream/types.js';
import type { Pod } from '../support/pods/process.js';
import { type FollowedRequest, type Message, RawClient } from '../support/clients/rawClient.js';
import { until } from '../support/until.js';
import { accept, questionOn } from './questions.js';
import { useCluster } from './cluster.js';

const cluster = useCluster(3, { script: 'test/cluster/taskPod.ts' });

const RELATED_TASK = 'io.modelcontextprotocol/related-task';
const at = (pod: Pod) => `${pod.origin}/mcp`;
const open = (pod: Pod) => new RawClient().open(at(pod), { capabilities: { elicitation: {} } });

async function ask(
  client: RawClient,
  pod: Pod,
  method: string,
  params: Record<string, unknown> = {}
): Promise<Message> {
  const { messages } = await client.request(at(pod), method, params);
  return messages.at(-1)!;
}

async function begin(client: RawClient, pod: Pod, name: string, text = '', ttl = 60_000): Promise<string> {
  const { result } = await ask(client, pod, 'tools/call', { name, arguments: { text }, task: { ttl } });
  return (result!.task as Task).taskId;
}

const statusOf = async (client: RawClient, pod: Pod, taskId: string) =>
  (await ask(client, pod, 'tasks/get', { taskId })).result?.status;

const resultOn = (client: RawClient, pod: Pod, taskId: string) => client.follow(at(pod), 'tasks/result', { taskId });

/** The text of the result that a followed request ends with, or its error. */
async function endOf({ stream, id }: FollowedRequest): Promise<string> {
  await stream.untilEnded();
  const { result, error } = stream.messages.find(message => message.id === id)!;
  return error ? `${error.code} ${error.message}` : (result!.content as { text: string }[])[0]!.text;
}

/** Lets the tasks that wait on this pod go on, those of now and those to come. */
const go = (pod: Pod) => fetch(`${pod.origin}/go`, { method: 'POST' });

async function look(pod: Pod): Promise<{ journal: string[]; liveSessions: number }> {
  return (await (await fetch(`${pod.origin}/journal`)).json()) as { journal: string[]; liveSessions: number };
}

test('a task that began on one pod is reported, listed and awaited on the others', async () => {
  const client = await open(cluster.first);
  const standalone = await client.stream(at(cluster.third));
  const taskId = await begin(client, cluster.first, 'work');
  const [onB, onC] = await Promise.all([
    resultOn(client, cluster.second, taskId),
    resultOn(client, cluster.third, taskId)
  ]);
  for (const pod of cluster.pods) {
    expect(await statusOf(client, pod, taskId)).toBe('working');
    expect((await ask(client, pod, 'tasks/list')).result?.tasks).toEqual([
      expect.objectContaining({ taskId, status: 'working', ttl: 60_000 })
    ]);
  }
  await go(cluster.first);
  for (const followed of [onB, onC]) expect(await endOf(followed)).toBe(`worked on ${cluster.first.pid}`);
  for (const pod of cluster.pods) {
    expect(await statusOf(client, pod, taskId)).toBe('completed');
    const { result } = await ask(client, pod, 'tasks/result', { taskId });
    expect(result).toEqual({
      content: [{ type: 'text', text: `worked on ${cluster.first.pid}` }],
      _meta: { [RELATED_TASK]: { taskId } }
    });
  }
  await until('the status is told on the standalone stream', () =>
    standalone.messages.some(
      ({ method, params }) => method === 'notifications/tasks/status' && params?.taskId === taskId
    )
  );
  standalone.close();
});

test('pages of a list may be read from pod to pod', async () => {
  const client = await open(cluster.first);
  const begun = [];
  for (let i = 0; i < 23; i++) begun.push(await begin(client, cluster.pods[i % 3]!, 'tell'));
  const listed = [];
  let cursor: unknown;
  for (let page = 0; page < 3; page++) {
    const { result } = await ask(client, cluster.pods[page]!, 'tasks/list', cursor === undefined ? {} : { cursor });
    listed.push(...(result!.tasks as Task[]));
    cursor = result!.nextCursor;
  }
  expect(listed.map(({ taskId }) => taskId)).toEqual(begun);
  expect(cursor).toBeUndefined();
});

test('messages of a task are delivered in order by the pod that the client asks for the result', async () => {
  const client = await open(cluster.first);
  const taskId = await begin(client, cluster.first, 'tell');
  const followed = await resultOn(client, cluster.second, taskId);
  expect(await endOf(followed)).toBe(`told on ${cluster.first.pid}`);
  expect(followed.stream.messages.flatMap(({ params }) => (params ? [params.data] : []))).toEqual([1, 2, 3]);
});

test('a question from within a task is delivered by a second pod and answered through a third', async () => {
  const client = await open(cluster.first);
  const taskId = await begin(client, cluster.first, 'ask', 'well?');
  const followed = await resultOn(client, cluster.second, taskId);
  const question = await questionOn(followed);
  expect(question).toMatchObject({ method: 'elicitation/create', params: { message: 'well?' } });
  const meta = question.params?._meta as Record<string, unknown>;
  expect(meta[RELATED_TASK]).toEqual({ taskId });
  expect(await statusOf(client, cluster.third, taskId)).toBe('input_required');

  await client.notify(at(cluster.third), 'notifications/progress', { progressToken: meta.progressToken, progress: 7 });
  await until('progress is heard', async () => (await look(cluster.first)).journal.includes('well?: progress 7'));
  await client.post(at(cluster.third), accept(question.id, 'yes'));
  expect(await endOf(followed)).toBe(`accept {"answer":"yes"} on ${cluster.first.pid}`);
});

test('tasks of one session ask from every pod at once, and each gets its own answer', async () => {
  const client = await open(cluster.first);
  const texts = Array.from({ length: 9 }, (_, i) => `question ${i}`);
  const followed = await Promise.all(
    texts.map(async (text, i) =>
      resultOn(client, cluster.pods[(i + 1) % 3]!, await begin(client, cluster.pods[i % 3]!, 'ask', text))
    )
  );
  const questions = await Promise.all(followed.map(questionOn));
  expect(new Set(questions.map(({ id }) => id)).size).toBe(9);
  for (const [i, { id, params }] of questions.entries()) {
    await client.post(at(cluster.pods[(i + 2) % 3]!), accept(id, `to ${String(params?.message)}`));
  }
  const ends = await Promise.all(followed.map(endOf));
  expect(ends).toEqual(texts.map((text, i) => `accept {"answer":"to ${text}"} on ${cluster.pods[i % 3]!.pid}`));
});

test("a task can question the SDK's client through a round robin", async () => {
  const client = new Client({ name: 'asked', version: '1' }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
    action: 'accept',
    content: { to: params.message }
  }));
  await client.connect(new StreamableHTTPClientTransport(new URL(`${cluster.proxy.origin}/mcp`)));
  for (let round = 0; round < 3; round++) {
    const params = { name: 'ask', arguments: { text: `round ${round}` } };
    const kinds = [];
    let result: unknown;
    for await (const message of client.experimental.tasks.callToolStream(params, undefined, {
      task: { ttl: 60_000 }
    })) {
      kinds.push(message.type);
      if (message.type === 'result') ({ result } = message);
    }
    expect(kinds).toEqual(expect.arrayContaining(['taskCreated', 'result']));
    const text = expect.stringContaining(`accept {"to":"round ${round}"}`) as string;
    expect(result).toMatchObject({ content: [{ type: 'text', text }] });
  }
  await client.close();
});

test('a task that is cancelled on another pod is cancelled everywhere, and its open question fails at once', async () => {
  const client = await open(cluster.first);
  const taskId = await begin(client, cluster.first, 'ask', 'anyone?');
  await until('it asks', async () => (await statusOf(client, cluster.second, taskId)) === 'input_required');
  const before = await Promise.all(cluster.pods.map(look));
  const cancelled = await ask(client, cluster.second, 'tasks/cancel', { taskId });
  expect(cancelled.result).toMatchObject({ taskId, status: 'cancelled' });
  await until('the task learns of it', async () =>
    (await look(cluster.first)).journal.includes('task failed: MCP error -32603: Task cancelled or completed')
  );
  for (const pod of cluster.pods) {
    expect(await statusOf(client, pod, taskId)).toBe('cancelled');
    expect((await ask(client, pod, 'tasks/cancel', { taskId })).error).toEqual({
      code: -32602,
      message: 'MCP error -32602: Cannot cancel task in terminal status: cancelled'
    });
    expect((await ask(client, pod, 'tasks/result', { taskId })).error?.message).toContain('has no result stored');
  }
  for (const [i, pod] of [cluster.second, cluster.third].entries()) {
    expect((await look(pod)).journal).toEqual(before[i + 1]!.journal);
  }
});

test('no pod shows the tasks of a session to another session', async () => {
  const [mine, other] = [await open(cluster.first), await open(cluster.second)];
  const taskId = await begin(mine, cluster.first, 'ask', 'secret?');
  await until('it asks', async () => (await statusOf(mine, cluster.third, taskId)) === 'input_required');
  const never = 'f'.repeat(32);
  for (const pod of cluster.pods) {
    for (const method of ['tasks/get', 'tasks/result', 'tasks/cancel']) {
      const [foreign, unknown] = [
        await ask(other, pod, method, { taskId }),
        await ask(other, pod, method, { taskId: never })
      ];
      expect(foreign.error?.code).toBe(-32602);
      expect(foreign.error?.message.replace(taskId, never)).toBe(unknown.error?.message);
    }
    expect((await ask(other, pod, 'tasks/list')).result?.tasks).toEqual([]);
    expect((await ask(other, pod, 'tasks/list', { cursor: taskId })).error?.message).toContain('Invalid cursor');
  }
  const followed = await resultOn(mine, cluster.third, taskId);
  const { id } = await questionOn(followed);
  // The id of the question is no key to it either.
  await other.post(at(cluster.first), accept(id, 'forged'));
  await mine.post(at(cluster.second), accept(id, 'mine'));
  expect(await endOf(followed)).toBe(`accept {"answer":"mine"} on ${cluster.first.pid}`);
});

test('a task keeps its server live on its pod, however long the client is elsewhere, and no longer', async () => {
  const forgetful = await cluster.addExtraPod('--forget-after', '100');
  const client = await open(forgetful);
  const taskId = await begin(client, forgetful, 'workThenAsk', 'still there?');
  const followed = await resultOn(client, cluster.second, taskId);
  // Longer than the pod remembers an idle session.
  await delay(500);
  await go(forgetful);
  await client.post(at(cluster.third), accept((await questionOn(followed)).id, 'yes'));
  expect(await endOf(followed)).toBe(`accept {"answer":"yes"} on ${forgetful.pid}`);
  await until('the session is forgotten', async () => (await look(forgetful)).liveSessions === 0);
  await forgetful.stop('SIGKILL');
});

test('a pod that gets SIGTERM finishes its tasks first', async () => {
  const leaving = await cluster.addExtraPod();
  const client = await open(leaving);
  const work = await begin(client, leaving, 'work');
  const question = await begin(client, leaving, 'workThenAsk', 'now?');
  const followed = await resultOn(client, cluster.second, question);
  const left = leaving.stop('SIGTERM');
  await until('it takes no new work', async () => (await client.request(at(leaving), 'ping')).status === 503);
  await go(leaving);
  expect(await endOf(await resultOn(client, cluster.third, work))).toBe(`worked on ${leaving.pid}`);
  await client.post(at(cluster.third), accept((await questionOn(followed)).id, 'just in time'));
  expect(await endOf(followed)).toBe(`accept {"answer":"just in time"} on ${leaving.pid}`);
  expect(await left).toBe(0);
});

test('a task whose pod is killed keeps its status until its time to live ends', async () => {
  const victim = await cluster.addExtraPod();
  const client = await open(victim);
  const began = performance.now();
  const taskId = await begin(client, victim, 'ask', 'hello?', 4000);
  const followed = await resultOn(client, cluster.second, taskId);
  const { id } = await questionOn(followed);
  await victim.stop('SIGKILL');
  expect((await client.post(at(cluster.third), accept(id, 'too late'))).status).toBe(202);
  expect(await statusOf(client, cluster.third, taskId)).toBe('input_required');
  expect(await endOf(followed)).toBe(`-32602 MCP error -32602: Task not found: ${taskId}`);
  expect(performance.now() - began).toBeLessThan(15_000);
  expect((await ask(client, cluster.third, 'tasks/get', { taskId })).error).toEqual({
    code: -32602,
    message: 'MCP error -32602: Failed to retrieve task: Task not found'
  });
});
