import type { EventStream } from '../support/clients/eventStream.js';
import type { Pod } from '../support/pods/process.js';
import { StreamSession } from '../support/clients/streamSession.js';
import { useCluster } from './cluster.js';

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
  const cluster = useCluster(3, { script: 'test/cluster/streamPod.ts', flags });

  test('a notification to all sessions reaches each stream once, whichever pod holds the stream', async () => {
    const sessions = await Promise.all([0, 1, 2, 0, 1].map(index => StreamSession.open(cluster.pods[index] as Pod)));
    // Each client listens on another pod than the one that opened its session.
    const streams = await Promise.all(
      sessions.map((session, index) => session.listen(cluster.pods[(index + 1) % 3] as Pod))
    );
    await notify(cluster.third, 'toolsChanged');
    await notify(cluster.first, 'promptsChanged');
    await notify(cluster.second, 'resourcesChanged');
    await notify(cluster.third, 'send', { method: 'notifications/message', params: { level: 'info', data: 'end' } });
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

  test('a resource update reaches only subscribers, and none after they unsubscribe', async () => {
    const [subscriber, former, other] = await Promise.all(cluster.pods.map(pod => StreamSession.open(pod)));
    const sessions = [subscriber, former, other] as StreamSession[];
    await subscriber?.request(cluster.second, 'resources/subscribe', { uri: URI });
    await former?.request(cluster.third, 'resources/subscribe', { uri: URI });
    await former?.request(cluster.first, 'resources/unsubscribe', { uri: URI });
    const streams = await Promise.all(sessions.map(session => session.listen(cluster.first)));
    await notify(cluster.third, 'resourceUpdated', URI);
    await notify(
      cluster.third,
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

  test('notify refuses a message that is not a notification', async () => {
    await expect(notify(cluster.first, 'send', { params: {} })).rejects.toThrow('notification');
    await expect(notify(cluster.first, 'send', { method: 'x' }, { sessions: 'all' })).rejects.toThrow('sessions');
    await expect(notify(cluster.first, 'resourceUpdated', 7)).rejects.toThrow('uri');
  });

  if (flags.length > 0) return;

  test('a session that is live on no pod finds its notifications in its log', async () => {
    const session = await StreamSession.open(cluster.first);
    const first = await session.listen(cluster.first);
    await notify(cluster.second, 'send', { method: 'notifications/tools/list_changed' }, { sessions: [session.id] });
    await first.until(() => first.messages.length === 1);
    first.drop();
    await cluster.first.stop('SIGKILL');
    await notify(cluster.second, 'promptsChanged');
    const second = await session.listen(cluster.third, first.lastEventId);
    await second.until(() => heard(second).includes('notifications/prompts/list_changed'));
    expect(heard(second)).toEqual(['notifications/prompts/list_changed']);
    second.drop();
  });
});
