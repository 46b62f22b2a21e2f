import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { startPod, startPods, type Pod } from '../support/pods/process.js';
import { contentsOf } from '../support/servers/redisContents.js';
import { startRedisServer, type RedisServer } from '../support/servers/redisServer.js';
import { startRoundRobin, type RoundRobin } from '../support/servers/roundRobin.js';
import { StreamSession } from '../support/clients/streamSession.js';

const podScript = 'test/cluster/streamPod.ts';
const [oldKey, newKey] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
let redis: RedisServer;
let pods: Pod[];
/** What the clients know: a balancer that hands out requests in turn. */
let balancer: RoundRobin & Pod;

const flags = (...keys: string[]) => ['--no-log', '--redis', redis.url, '--keys', keys.join()];
const tell = (pod: Pod, method: string, ...args: unknown[]) =>
  fetch(`${pod.origin}/notify/${method}`, { method: 'POST', body: JSON.stringify(args) });

beforeAll(async () => {
  redis = await startRedisServer();
  pods = await startPods(2, podScript, flags(oldKey));
  balancer = (await startRoundRobin(pods.map(({ port }) => port))) as RoundRobin & Pod;
});

afterAll(async () => {
  await (balancer as RoundRobin).stop();
  await Promise.all(pods.map(pod => pod.stop('SIGKILL')));
  await redis.stop();
});

test('sessions work on every pod, are told of their resources, and outlive the rotation of the key pod by pod', async () => {
  const session = await StreamSession.open(balancer);
  const other = await StreamSession.open(balancer);
  for (let request = 0; request < 4; request++) {
    expect(await session.request(balancer, 'tools/list', {})).toHaveProperty('result.tools');
  }
  await session.request(balancer, 'resources/subscribe', { uri: 'file:///private' });
  await other.request(balancer, 'resources/subscribe', { uri: 'file:///private' });
  await other.request(balancer, 'resources/unsubscribe', { uri: 'file:///private' });
  await expectTold(session, other, pods[0]!);

  // First every pod learns to open what the new key seals, then each begins to use it.
  for (const keys of [
    [oldKey, newKey],
    [newKey, oldKey]
  ]) {
    for (const index of [0, 1]) {
      const next = await startPod(podScript, flags(...keys));
      const [before] = pods.splice(index, 1, next);
      balancer.setPods(pods.map(({ port }) => port));
      await before!.stop('SIGKILL');
      for (let request = 0; request < 2; request++) {
        expect(await session.request(balancer, 'tools/list', {})).toHaveProperty('result.tools');
      }
      const fresh = await StreamSession.open(balancer);
      await fresh.request(balancer, 'resources/subscribe', { uri: 'file:///private' });
      expect(await fresh.request(balancer, 'tools/list', {})).toHaveProperty('result.tools');
      await fresh.request(balancer, 'resources/unsubscribe', { uri: 'file:///private' });
    }
  }
  await expectTold(session, other, pods[1]!);
  const client = new Redis(redis.url);
  const raw = await contentsOf(client);
  client.disconnect();
  expect(raw).toContain(session.id);
  for (const secret of ['private', 'resumer', '2025-11-25']) expect(raw).not.toContain(secret);
});

/** That the one session, and not the other, hears of the resource, from whichever pod. */
async function expectTold(subscriber: StreamSession, other: StreamSession, from: Pod): Promise<void> {
  const streams = await Promise.all([subscriber.listen(balancer), other.listen(balancer)]);
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
