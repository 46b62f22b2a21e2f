import { randomBytes } from 'node:crypto';
import { RedisSessionBus, RedisSessionStore, signSessionBus } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import { runCli, runCliJson } from '../../support/cli.js';
import { startPodForTest } from '../../support/pods/localPod.js';
import { type Pod, startPods } from '../../support/pods/process.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';

interface Listed {
  instance: string;
  pid: number;
  state: string;
  inFlight: number;
  liveSessions: number;
}

const redis = useRedis({ enableAutoPipelining: true, socketTimeout: 5000 });
/** What test/cluster/pod.ts serves at /mcp. */
const on = () => ['--url', redis.server.url, '--prefix', 'pod:'];
const urlOf = ({ origin }: Pod) => `${origin}/mcp`;

const listed = async (...args: string[]) =>
  (await runCliJson<{ pods: Listed[] }>(['pods', ...on(), ...args])).json.pods;

/** Pods as processes, each with a session. */
async function start(count: number) {
  const pods = await startPods(count, 'test/cluster/pod.ts', ['--redis', redis.server.url]);
  stopAfterTest(() => Promise.all(pods.map(pod => pod.stop('SIGKILL'))));
  const clients = await Promise.all(pods.map(pod => new RawClient().open(urlOf(pod))));
  const all = await until('all pods answer', async () => {
    const found = await listed();
    return found.length === count && found;
  });
  return { pods, clients, all, instanceOf: (pod: Pod) => all.find(({ pid }) => pid === pod.pid)!.instance };
}

const oneLine = (pattern: string) => expect.stringMatching(new RegExp(`^mcp-sdk-anypod: ${pattern}\\n$`)) as string;

describe('a pod that stands still', () => {
  it('is not listed and cannot be drained, one line says so, and it serves as before when it goes on', async () => {
    const { pods, clients, all, instanceOf } = await start(3);
    const [still, ...others] = pods as [Pod, Pod, Pod];
    still.signal('SIGSTOP');
    expect((await listed()).map(({ pid }) => pid).sort()).toEqual(others.map(({ pid }) => pid).sort());
    const { code, stdout, stderr } = await runCli(['pods', 'drain', instanceOf(still), ...on()]);
    const rest = others.map(instanceOf);
    expect([code, stdout, stderr]).toEqual([
      1,
      '',
      oneLine(`no pod ${instanceOf(still)} answers; these do: \\w+, \\w+`)
    ]);
    for (const instance of rest) expect(stderr).toContain(instance);
    still.signal('SIGCONT');
    const again = await until('it answers again', async () => {
      const found = await listed();
      return found.length === 3 && found;
    });
    expect(again.map(({ instance, state }) => [instance, state])).toEqual(
      all.map(({ instance }) => [instance, 'serving'])
    );
    expect(await clients[0]!.callTool(urlOf(still), 'echo', { text: 'here' })).toBe('here');
  });

  it('between the question and the order to drain is said to have not answered', async () => {
    const { all } = await start(1);
    // A pod that answers the question and nothing else.
    const bus = new RedisSessionBus({ redis: redis.client, keyPrefix: 'pod:' });
    stopAfterTest(() => bus.close());
    await bus.subscribe('pods', text => {
      const { type, from } = JSON.parse(text) as { type: string; from: string };
      const answer = { v: 1, from: 'stuck', type: 'pod-state', pod: { ...all[0], instance: 'stuck' } };
      if (type === 'pods-asked') void bus.publish(`pods:${from}`, JSON.stringify(answer));
    });
    const { code, stdout, stderr } = await runCli(['pods', 'drain', 'stuck', '--wait', '400', ...on()]);
    expect([code, stdout, stderr]).toEqual([
      1,
      '',
      oneLine('the pod stuck was asked to drain and did not answer within 400 ms: .*')
    ]);
    expect((await listed()).find(({ instance }) => instance === all[0]!.instance)?.state).toBe('serving');
  });
});

describe('pods drain', () => {
  it('lets a pod serve for the delay, finish what is open, and leave the list', async () => {
    const { pods, clients, instanceOf } = await start(2);
    const [leaving, staying] = pods as [Pod, Pod];
    const [client] = clients as [RawClient];
    const slow = client.callTool(urlOf(leaving), 'slow', { ms: 6000 });
    const stateOf = async (pod: Pod) => (await listed()).find(({ pid }) => pid === pod.pid);
    await until('the call is open', async () => (await stateOf(leaving))?.inFlight === 1);
    const { code, json } = await runCliJson<{ pod: Listed }>([
      'pods',
      'drain',
      instanceOf(leaving),
      '--delay',
      '4s',
      '--drain',
      '10s',
      ...on()
    ]);
    expect([code, json.pod.state, json.pod.pid]).toEqual([0, 'draining', leaving.pid]);
    expect(await client.callTool(urlOf(leaving), 'echo', { text: 'delayed' })).toBe('delayed');
    expect((await stateOf(staying))?.state).toBe('serving');
    expect(await slow).toBe('done');
    await until('it is no longer listed', async () => (await stateOf(leaving)) === undefined);
    expect((await client.request(urlOf(leaving), 'ping')).status).toBe(503);
    expect(await client.callTool(urlOf(staying), 'echo', { text: 'moved' })).toBe('moved');
  });

  it('refuses the only pod that serves, unless it is forced to', async () => {
    const { pods, instanceOf } = await start(1);
    const instance = instanceOf(pods[0]!);
    const refused = await runCli(['pods', 'drain', instance, ...on()]);
    expect([refused.code, refused.stderr]).toEqual([1, oneLine('no other pod serves: .* Nothing was changed')]);
    expect((await listed())[0]?.state).toBe('serving');
    const forced = await runCli(['pods', 'drain', instance, '--force', '--delay', '0s', ...on()]);
    expect([forced.code, forced.stdout]).toEqual([0, expect.stringContaining('is draining')]);
    await until('no pod is listed', async () => (await listed('--wait', '200')).length === 0);
  });
});

describe('pods whose bus is signed', () => {
  it('do not answer, are not drained by whoever knows their names, and report it', async () => {
    const bus = new RedisSessionBus({ redis: redis.client, keyPrefix: 'signed:' });
    stopAfterTest(() => bus.close());
    const reported: string[] = [];
    const sessionBus = signSessionBus(bus, {
      keys: [randomBytes(32)],
      onerror: ({ message }) => void reported.push(message)
    });
    const sessionStore = new RedisSessionStore({ redis: redis.client, keyPrefix: 'signed:' });
    const pods = [
      await startPodForTest({ sessionStore, sessionBus }),
      await startPodForTest({ sessionStore, sessionBus })
    ];
    const client = await new RawClient().open(pods[0]!.url);
    await client.callTool(pods[1]!.url, 'echo', { text: 'x' });
    const instances = new Set<string>();
    await sessionBus.subscribe('pods:test', text => {
      instances.add((JSON.parse(text) as { pod: Listed }).pod.instance);
    });
    await until('both pods answer who has the key', async () => {
      await sessionBus.publish('pods', JSON.stringify({ v: 1, from: 'test', type: 'pods-asked' }));
      return instances.size === 2;
    });

    const args = ['--url', redis.server.url, '--prefix', 'signed:', '--wait', '300'];
    const list = await runCli(['pods', ...args]);
    expect([list.code, list.stdout, list.stderr]).toEqual([1, '', oneLine('no pod answers on .* a signed bus')]);
    await until('they report the question', () => reported.length > 0);
    const [instance] = instances;
    const drain = await runCli(['pods', 'drain', instance!, '--force', ...args]);
    expect([drain.code, drain.stderr]).toEqual([1, oneLine(`no pod ${instance} answers; these do: none.*`)]);
    const before = reported.length;
    const order = { v: 1, from: 'forger', type: 'pod-drain', to: instance, delayMs: 0, drainMs: 0 };
    await bus.publish('pods', JSON.stringify(order));
    await until('they report the order', () => reported.length > before);
    expect(pods.map(({ handler }) => handler.ready)).toEqual([true, true]);
  });
});
