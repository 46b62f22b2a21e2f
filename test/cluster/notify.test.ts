import type { EventStream } from '../support/clients/eventStream.js';
import { startPods, type Pod } from '../support/pods/process.js';
import { StreamSession } from '../support/clients/streamSession.js';
import { startBackend, type Backend } from './backend.js';

const URI = 'file:///watched';

async function notify(pod: Pod, method: string, ...args: unknown[]): Promise<void> {
  const response = await fetch(`${pod.origin}/notify/${method}`, { method: 'POST', body: JSON.stringify(args) });
  if (!response.ok) throw new Error(await response.text());
}

const heard = (stream: EventStream) => stream.messages.map(({ method }) => method);

describe.each([
  ['with an event store', []],
  ['without an event store', ['--no-log']]
])('%s', (_, flags) => {
  let backend: Backend;
  let pods: [Pod, Pod, Pod];

  beforeAll(async () => {
    backend = await startBackend();
    pods = (await startPods(3, 'test/cluster/streamPod.ts', [...backend.flags, ...flags])) as [Pod, Pod, Pod];
  });

  afterAll(async () => {
    await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
    await backend.stop();
  });

  test('what one pod tells all sessions reaches each on its stream, once, whichever pod holds it', async () => {
    const sessions = await Promise.all([0, 1, 2, 0, 1].map(index => StreamSession.open(pods[index] as Pod)));
    // Each client listens on another pod than the one that opened its session.
    const streams = await Promise.all(sessions.map((session, index) => session.listen(pods[(index + 1) % 3] as Pod)));
    await notify(pods[2], 'toolsChanged');
    await notify(pods[0], 'promptsChanged');
    await notify(pods[1], 'resourcesChanged');
    await notify(pods[2], 'send', { method: 'notifications/message', params: { level: 'info', data: 'end' } });
    for (const stream of streams) {
      await stream.until(() => heard(stream).includes('notifications/message'));
      expect(heard(stream).sort()).toEqual([
        'notifications/message',
        'notifications/prompts/list_changed',
        'notifications/resources/list_changed',
        'notifications/tools/list_changed'
      ]);
      stream.drop();
    }
  });

  test('a resource that is updated is told to its subscribers alone, and not after they unsubscribe', async () => {
    const [subscriber, former, other] = await Promise.all(pods.map(pod => StreamSession.open(pod)));
    const sessions = [subscriber, former, other] as StreamSession[];
    await subscriber?.request(pods[1], 'resources/subscribe', { uri: URI });
    await former?.request(pods[2], 'resources/subscribe', { uri: URI });
    await former?.request(pods[0], 'resources/unsubscribe', { uri: URI });
    const streams = await Promise.all(sessions.map(session => session.listen(pods[0])));
    await notify(pods[2], 'resourceUpdated', URI);
    await notify(
      pods[2],
      'send',
      { method: 'notifications/tools/list_changed' },
      { sessions: sessions.map(({ id }) => id) }
    );
    await Promise.all(
      streams.map(stream => stream.until(() => heard(stream).includes('notifications/tools/list_changed')))
    );
    expect(streams.map(stream => heard(stream).includes('notifications/resources/updated'))).toEqual([
      true,
      false,
      false
    ]);
    streams.forEach(stream => stream.drop());
  });

  test('what is no notification is refused', async () => {
    await expect(notify(pods[0], 'send', { params: {} })).rejects.toThrow('notification');
    await expect(notify(pods[0], 'send', { method: 'x' }, { sessions: 'all' })).rejects.toThrow('sessions');
    await expect(notify(pods[0], 'resourceUpdated', 7)).rejects.toThrow('uri');
  });

  if (flags.length > 0) return;

  test('a session that is live nowhere finds in its log what it was told', async () => {
    const session = await StreamSession.open(pods[0]);
    const first = await session.listen(pods[0]);
    await notify(pods[1], 'send', { method: 'notifications/tools/list_changed' }, { sessions: [session.id] });
    await first.until(() => first.messages.length === 1);
    first.drop();
    await pods[0].stop('SIGKILL');
    await notify(pods[1], 'promptsChanged');
    const second = await session.listen(pods[2], first.lastEventId);
    await second.until(() => heard(second).includes('notifications/prompts/list_changed'));
    expect(heard(second)).toEqual(['notifications/prompts/list_changed']);
    second.drop();
  });
});
