import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Pod } from '../support/pods/process.js';
import { contentsOf } from '../support/servers/redisContents.js';
import { StreamSession } from '../support/clients/streamSession.js';
import { useCluster } from './cluster.js';

const [oldKey, newKey] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
const cluster = useCluster(2, {
  script: 'test/cluster/streamPod.ts',
  flags: ['--no-log', '--keys', oldKey],
  backend: 'redis'
});

const tell = (pod: Pod, method: string, ...args: unknown[]) =>
  fetch(`${pod.origin}/notify/${method}`, { method: 'POST', body: JSON.stringify(args) });

test('encrypted sessions work on every pod, get resource updates, and survive a key rotation pod by pod', async () => {
  const session = await StreamSession.open(cluster.proxy);
  const other = await StreamSession.open(cluster.proxy);
  for (let request = 0; request < 4; request++) {
    expect(await session.request(cluster.proxy, 'tools/list', {})).toHaveProperty('result.tools');
  }
  await session.request(cluster.proxy, 'resources/subscribe', { uri: 'file:///private' });
  await other.request(cluster.proxy, 'resources/subscribe', { uri: 'file:///private' });
  await other.request(cluster.proxy, 'resources/unsubscribe', { uri: 'file:///private' });
  await expectTold(session, other, cluster.pods[0]!);

  // First every pod learns to open what the new key seals, then each begins to use it.
  for (const keys of [
    [oldKey, newKey],
    [newKey, oldKey]
  ]) {
    for (const index of [0, 1]) {
      const next = await cluster.addExtraPod('--keys', keys.join());
      const [before] = cluster.pods.splice(index, 1, next);
      cluster.proxy.setPods(cluster.pods.map(({ port }) => port));
      await before!.stop('SIGKILL');
      for (let request = 0; request < 2; request++) {
        expect(await session.request(cluster.proxy, 'tools/list', {})).toHaveProperty('result.tools');
      }
      const fresh = await StreamSession.open(cluster.proxy);
      await fresh.request(cluster.proxy, 'resources/subscribe', { uri: 'file:///private' });
      expect(await fresh.request(cluster.proxy, 'tools/list', {})).toHaveProperty('result.tools');
      await fresh.request(cluster.proxy, 'resources/unsubscribe', { uri: 'file:///private' });
    }
  }
  await expectTold(session, other, cluster.pods[1]!);
  const client = new Redis(cluster.backend.redisUrl);
  const raw = await contentsOf(client);
  client.disconnect();
  expect(raw).toContain(session.id);
  for (const secret of ['private', 'resumer', '2025-11-25']) expect(raw).not.toContain(secret);
});

/** That the one session, and not the other, hears of the resource, from whichever pod. */
async function expectTold(subscriber: StreamSession, other: StreamSession, from: Pod): Promise<void> {
  const streams = await Promise.all([subscriber.listen(cluster.proxy), other.listen(cluster.proxy)]);
  await tell(from, 'resourceUpdated', 'file:///private');
  await tell(from, 'toolsChanged');
  const heard = streams.map(stream => async () => {
    const methods = () => stream.messages.map(({ method }) => method);
    await stream.until(() => methods().includes('notifications/tools/list_changed'));
    stream.drop();
    return methods().includes('notifications/resources/updated');
  });
  expect(await Promise.all(heard.map(ask => ask()))).toEqual([true, false]);
}
