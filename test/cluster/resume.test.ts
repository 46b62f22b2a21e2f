import type { EventStream } from '../support/clients/eventStream.js';
import type { Pod } from '../support/pods/process.js';
import { HEADERS, StreamSession as Session } from '../support/clients/streamSession.js';
import { useCluster } from './cluster.js';

const cluster = useCluster(3, { script: 'test/cluster/streamPod.ts' });

const steps = (stream: EventStream) => stream.messages.flatMap(({ params }) => (params ? [params.data] : []));
const answers = (stream: EventStream) => stream.messages.filter(({ result, error }) => result ?? error);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

test('a request stream resumes on another pod without gap or duplicate and ends with the response', async () => {
  const [a, b] = cluster.pods as [Pod, Pod];
  const session = await Session.open(a);
  const first = await session.call(a, 'count', { steps: 20, everyMs: 30 });
  await first.until(() => steps(first).length >= 5);
  first.drop();
  const second = await session.listen(b, first.lastEventId);
  await second.untilEnded();
  expect([...steps(first), ...steps(second)]).toEqual(upTo(20));
  expect(answers(second)).toHaveLength(1);
  expect(answers(second)[0]?.result).toEqual({ content: [{ type: 'text', text: 'counted to 20' }] });
});

test('a client may move from pod to pod, and back to the one that runs its request', async () => {
  const session = await Session.open(cluster.pods[0] as Pod);
  const streams = [await session.call(cluster.pods[0] as Pod, 'count', { steps: 24, everyMs: 40 })];
  for (const pod of [1, 2, 0, 1].map(index => cluster.pods[index] as Pod)) {
    const current = streams.at(-1) as EventStream;
    await current.until(() => steps(current).length >= 3);
    current.drop();
    streams.push(await session.listen(pod, current.lastEventId));
  }
  await streams.at(-1)?.untilEnded();
  expect(streams.flatMap(steps)).toEqual(upTo(24));
  expect(streams.flatMap(answers)).toHaveLength(1);
});

test('an answer without an attached client is read from the log on any pod', async () => {
  const [a, b, c] = cluster.pods as [Pod, Pod, Pod];
  const session = await Session.open(a);
  const first = await session.call(a, 'count', { steps: 3, everyMs: 30 });
  await first.until(() => steps(first).length === 1);
  first.drop();
  // Another call on the same pod takes longer, so the first is complete when it is.
  const longer = await session.call(a, 'count', { steps: 1, everyMs: 300 });
  await longer.untilEnded();
  for (const pod of [b, c]) {
    const again = await session.listen(pod, first.lastEventId);
    await again.untilEnded();
    expect(steps(again)).toEqual([2, 3]);
    expect(answers(again)).toHaveLength(1);
  }
});

test('a client can poll any pod for a tool that closed its stream', async () => {
  const [a, b] = cluster.pods as [Pod, Pod];
  const session = await Session.open(a);
  const first = await session.call(a, 'count', { steps: 6, everyMs: 40, poll: true });
  await first.untilEnded();
  expect(answers(first)).toEqual([]);
  const second = await session.listen(b, first.lastEventId);
  await second.untilEnded();
  expect([...steps(first), ...steps(second)]).toEqual(upTo(6));
  expect(answers(second)).toHaveLength(1);
});

// Promise: L5
test('a cursor of another session is refused as one that does not exist', async () => {
  const [a, b] = cluster.pods as [Pod, Pod];
  const [mine, yours] = [await Session.open(a), await Session.open(a)];
  const stream = await yours.call(a, 'count', { steps: 1, everyMs: 1 });
  await stream.untilEnded();
  const answer = async (lastEventId: string) => {
    const response = await fetch(`${b.origin}/mcp`, {
      headers: { ...HEADERS, 'mcp-session-id': mine.id, 'last-event-id': lastEventId }
    });
    return [response.status, await response.text()];
  };
  const foreign = await answer(stream.lastEventId as string);
  expect(foreign[0]).toBe(400);
  expect(foreign).toEqual(await answer('nonsense'));
  expect(foreign).toEqual(await answer((stream.lastEventId as string).replace(/-\d+$/, '-999')));
  const get = await yours.listen(a);
  await get.until(() => get.lastEventId !== undefined);
  get.drop();
  expect(foreign).toEqual(await answer(get.lastEventId as string));
  expect(foreign).toEqual(await answer(`${mine.id}:standalone@forged`));
});

test('the standalone stream resumes on another pod while a third pod continues to send', async () => {
  const [a, b, c] = cluster.pods as [Pod, Pod, Pod];
  const session = await Session.open(a);
  const first = await session.listen(a);
  const shouting = await session.call(c, 'shout', { from: 1, to: 60, everyMs: 10 });
  await first.until(() => steps(first).length >= 10);
  first.drop();
  const second = await session.listen(b, first.lastEventId);
  await shouting.untilEnded();
  await second.until(() => steps(second).at(-1) === 60);
  expect([...steps(first), ...steps(second)]).toEqual(upTo(60));
  second.drop();
});

test('a client whose cursor has expired gets its GET stream from now on, and a cursor for it', async () => {
  const [a, b, c] = cluster.pods as [Pod, Pod, Pod];
  const session = await Session.open(a);
  const first = await session.listen(a);
  await (await session.call(c, 'shout', { from: 1, to: 2 })).untilEnded();
  await first.until(() => steps(first).length === 2);
  first.drop();
  await cluster.backend.expireLogs(session.id);
  const second = await session.listen(b, first.lastEventId);
  expect(second.status).toBe(200);
  await second.until(() => second.lastEventId !== undefined);
  expect(b.output().split('goes on from now')).toHaveLength(2);
  await (await session.call(c, 'shout', { from: 3, to: 4 })).untilEnded();
  await second.until(() => steps(second).length === 2);
  second.drop();
  await (await session.call(a, 'shout', { from: 5, to: 6 })).untilEnded();
  const third = await session.listen(c, second.lastEventId);
  await third.until(() => steps(third).length === 2);
  expect([first, second, third].map(steps)).toEqual([
    [1, 2],
    [3, 4],
    [5, 6]
  ]);
  third.drop();
});

test('messages sent while a client reconnects for the first time wait in the log', async () => {
  const [a, b, c] = cluster.pods as [Pod, Pod, Pod];
  const session = await Session.open(a);
  const first = await session.listen(a);
  await first.until(() => first.lastEventId !== undefined);
  expect(first.events).toEqual([{ id: first.lastEventId, message: undefined }]);
  first.drop();
  await (await session.call(c, 'shout', { from: 1, to: 2 })).untilEnded();
  const second = await session.listen(b, first.lastEventId);
  await second.until(() => steps(second).length === 2);
  expect(steps(second)).toEqual([1, 2]);
  second.drop();
});

test('messages that three pods send at once on the GET stream arrive in one order without a gap', async () => {
  const session = await Session.open(cluster.pods[0] as Pod);
  const streams = [await session.listen(cluster.pods[0] as Pod)];
  const shouting = await Promise.all(
    cluster.pods.map((pod, index) => session.call(pod, 'shout', { from: 1000 * index + 1, to: 1000 * index + 100 }))
  );
  for (const holder of [1, 2, 0, 1, 2].map(index => cluster.pods[index] as Pod)) {
    const current = streams.at(-1) as EventStream;
    await current.until(() => steps(current).length >= 30);
    current.drop();
    streams.push(await session.listen(holder, current.lastEventId));
  }
  await Promise.all(shouting.map(stream => stream.untilEnded()));
  await streams.at(-1)?.until(() => streams.flatMap(steps).length >= 300);
  const said = streams.flatMap(stream => stream.events).filter(({ message }) => message);
  const places = said.map(
    ({ id }) =>
      /@(\d+)-(\d+)$/
        .exec(id as string)!
        .slice(1)
        .map(Number) as [number, number]
  );
  expect(places).toEqual(places.toSorted(([ms, n], [otherMs, other]) => ms - otherMs || n - other));
  const heard = streams.flatMap(steps).map(Number);
  for (const index of [0, 1, 2]) {
    expect(heard.filter(step => Math.floor(step / 1000) === index)).toEqual(upTo(100).map(step => 1000 * index + step));
  }
  streams.at(-1)?.drop();
});

describe('the pod that runs a request leaves', () => {
  const error = { code: -32000, message: 'The server that ran this request is gone' };

  // Promise: F8
  test('a client that was away when the pod of its request was killed gets an error soon after it resumes', async () => {
    const owner = await cluster.addExtraPod();
    const session = await Session.open(owner);
    const first = await session.call(owner, 'count', { steps: 100, everyMs: 50 });
    await first.until(() => steps(first).length >= 2);
    await owner.stop('SIGKILL');
    const second = await session.listen(cluster.pods[1] as Pod, first.lastEventId);
    await second.untilEnded(5000);
    expect(answers(second)).toEqual([{ jsonrpc: '2.0', id: 1, error }]);
    // A later resume from the same event gets the same error, and nothing else.
    const third = await session.listen(cluster.pods[2] as Pod, first.lastEventId);
    await third.untilEnded(5000);
    expect(answers(third)).toEqual([{ jsonrpc: '2.0', id: 1, error }]);
  });

  test('a client that listens on another pod when the pod of its request is killed gets an error within the lease', async () => {
    const owner = await cluster.addExtraPod();
    const session = await Session.open(owner);
    const first = await session.call(owner, 'count', { steps: 100, everyMs: 50 });
    await first.until(() => steps(first).length >= 2);
    first.drop();
    const second = await session.listen(cluster.pods[1] as Pod, first.lastEventId);
    await second.until(() => steps(second).length >= 2);
    await owner.stop('SIGKILL');
    await second.untilEnded(6000);
    expect(answers(second)).toEqual([{ jsonrpc: '2.0', id: 1, error }]);
    const seen = [...steps(first), ...steps(second)];
    expect(seen).toEqual(upTo(seen.length));
  });

  test('no answer arrives twice if the pod of the request is paused for longer than its lease', async () => {
    const owner = await cluster.addExtraPod();
    const session = await Session.open(owner);
    const first = await session.call(owner, 'count', { steps: 8, everyMs: 100 });
    await first.until(() => steps(first).length >= 2);
    first.drop();
    owner.signal('SIGSTOP');
    const second = await session.listen(cluster.pods[1] as Pod, first.lastEventId);
    await second.untilEnded(6000);
    expect(answers(second)).toEqual([{ jsonrpc: '2.0', id: 1, error }]);
    owner.signal('SIGCONT');
    const elsewhere = await session.call(owner, 'count', { steps: 1, everyMs: 1200 });
    await elsewhere.untilEnded();
    expect(answers(elsewhere)).toHaveLength(1);
    const third = await session.listen(cluster.pods[2] as Pod, first.lastEventId);
    await third.untilEnded(6000);
    expect(answers(third)).toEqual([{ jsonrpc: '2.0', id: 1, error }]);
  });

  test('a pod that drains: its clients get every answer from other pods', async () => {
    const owner = await cluster.addExtraPod();
    const session = await Session.open(owner);
    const first = await session.call(owner, 'count', { steps: 20, everyMs: 50 });
    await first.until(() => steps(first).length >= 2);
    const exit = owner.stop('SIGTERM');
    await first.untilEnded();
    expect(answers(first)).toEqual([]);
    const second = await session.listen(cluster.pods[1] as Pod, first.lastEventId);
    await second.untilEnded();
    expect(await exit).toBe(0);
    expect([...steps(first), ...steps(second)]).toEqual(upTo(20));
    expect(answers(second)).toHaveLength(1);
    expect(answers(second)[0]?.result).toBeDefined();
  });
});
