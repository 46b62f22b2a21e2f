import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import {
  type EncryptionKey,
  InMemorySessionBus,
  InvalidOptionError,
  RedisSessionBus,
  RedisSessionStore,
  signSessionBus
} from 'mcp-sdk-anypod/server';
import { sessionBusContract } from 'mcp-sdk-anypod/testing';
import { RawClient } from '../../support/clients/rawClient.js';
import { type RedisServer, startRedisServer } from '../../support/servers/redisServer.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';
import { type LocalPod, startPodForTest } from '../../support/pods/localPod.js';

const [key, newKey] = [randomBytes(32), randomBytes(32)];
let server: RedisServer;
beforeAll(async () => void (server = await startRedisServer()));
afterAll(() => server.stop());

function connect(): Redis {
  const redis = new Redis(server.url);
  stopAfterTest(() => void redis.disconnect());
  return redis;
}

sessionBusContract({
  describe,
  it,
  name: 'signSessionBus',
  makeTwo: async () => {
    const bus = new InMemorySessionBus();
    const signed = () => signSessionBus(bus, { keys: [key] });
    return { first: signed(), second: signed() };
  }
});

sessionBusContract({
  describe,
  it,
  name: 'signSessionBus with hidden session ids, in the middle of switching it on',
  makeTwo: async () => {
    const bus = new InMemorySessionBus();
    const signed = (options: object) => signSessionBus(bus, { keys: [key], hideSessionIds: true, ...options });
    return { first: signed({ acceptUnsigned: true }), second: signed({ acceptUnsigned: true, sendUnsigned: true }) };
  }
});

test('with hideSessionIds, the list of Redis channels shows no session id', async () => {
  const redis = connect();
  const pods = await Promise.all(
    [1, 2].map(() => {
      const bus = new RedisSessionBus({ redis });
      stopAfterTest(() => bus.close());
      const sessionBus = signSessionBus(bus, { keys: [key], hideSessionIds: true });
      return startPodForTest({ sessionStore: new RedisSessionStore({ redis }), sessionBus });
    })
  );
  const client = await openOnBoth(pods as [LocalPod, LocalPod]);
  const channels = (await redis.pubsub('CHANNELS', '*')) as string[];
  expect(channels.filter(channel => channel.includes(client.sessionId!))).toEqual([]);
  expect(channels.filter(channel => channel.includes('session:#'))).toHaveLength(1);
  await client.delete(pods[0]!.url);
  await until('both pods have ended it', () => pods.every(pod => pod.count('server closed', client.sessionId) === 1));
});

function startPod(keys?: EncryptionKey[]): Promise<LocalPod> {
  const redis = connect();
  const bus = new RedisSessionBus({ redis });
  stopAfterTest(() => bus.close());
  const sessionBus = keys ? signSessionBus(bus, { keys }) : bus;
  return startPodForTest({ sessionStore: new RedisSessionStore({ redis }), sessionBus });
}

/** What a third party makes of a session id that it has seen, with the right to publish on Redis. */
async function forge(sessionId: string): Promise<void> {
  const bus = new RedisSessionBus({ redis: connect() });
  stopAfterTest(() => bus.close());
  const message = JSON.stringify({ v: 1, from: 'forger', type: 'ended' });
  await bus.publish(`session:${sessionId}`, message);
  await bus.publish(`session:${sessionId}`, `signed:v1:${'A'.repeat(8)}:${'A'.repeat(43)}:${message}`);
  const others = signSessionBus(bus, { keys: [randomBytes(32)] });
  await others.publish(`session:${sessionId}`, message);
  // Signed by a pod, for another session.
  const heard: string[] = [];
  await bus.subscribe('session:other', text => heard.push(text));
  await signSessionBus(bus, { keys: [key] }).publish('session:other', message);
  await until('the signed message was seen', () => heard.length > 0);
  await bus.publish(`session:${sessionId}`, heard[0]!);
}

async function openOnBoth([one, two]: readonly [LocalPod, LocalPod]): Promise<RawClient> {
  const client = await new RawClient().open(one.url);
  for (const { url } of [one, two]) expect(await client.callTool(url, 'echo', { text: 'x' })).toBe('x');
  return client;
}

test('a third party that may publish on Redis cannot end a session of pods that sign', async () => {
  const pods = [await startPod([key]), await startPod([key])] as const;
  const client = await openOnBoth(pods);
  await forge(client.sessionId!);
  // What follows on the same topic is heard after what was forged.
  await client.notify(pods[0].url, 'notifications/marker');
  const isHeard = (pod: LocalPod) => pod.journal.entries.some(({ name }) => name === 'notifications/marker');
  await until('both pods have heard the client', () => pods.every(isHeard));
  expect(pods.map(pod => pod.count('server closed', client.sessionId))).toEqual([0, 0]);

  expect((await client.delete(pods[0].url)).status).toBe(200);
  await until('the other pod has heard of the end', () => pods[1].count('server closed', client.sessionId) === 1);
});

test('a third party that may publish on Redis can end a session of pods that do not sign', async () => {
  const pods = [await startPod(), await startPod()] as const;
  const client = await openOnBoth(pods);
  await forge(client.sessionId!);
  await until('both have ended it', () => pods.every(pod => pod.count('server closed', client.sessionId) === 1));
});

describe('while keys are rotated', () => {
  const cases: [string, EncryptionKey[], EncryptionKey[], boolean][] = [
    ['a new key at the end of the list is not used yet', [key, newKey], [key], true],
    ['a new key in front is known to pods that have it at the end', [newKey, key], [key, newKey], true],
    ['a key has one name, whether it is given with an id or without', [{ id: '2026', key }], [key], true],
    ['a key that was dropped is not accepted', [key], [newKey], false]
  ];
  test.each(cases)('%s', async (_, senders, receivers, accepted) => {
    const bus = new InMemorySessionBus();
    const errors: Error[] = [];
    const heard: string[] = [];
    const receiver = signSessionBus(bus, { keys: receivers, onerror: error => errors.push(error) });
    await receiver.subscribe('t', text => heard.push(text));
    await signSessionBus(bus, { keys: senders }).publish('t', 'hello');
    await until('it was judged', () => heard.length + errors.length > 0);
    expect([heard, errors.length]).toEqual(accepted ? [['hello'], 0] : [[], 1]);
  });
});

test('signatures are switched on while pods without them serve: first accepted, then sent, then required', async () => {
  const bus = new InMemorySessionBus();
  const keys = [key];
  const heard: string[] = [];
  const accepting = signSessionBus(bus, { keys, acceptUnsigned: true, sendUnsigned: true });
  const sending = signSessionBus(bus, { keys, acceptUnsigned: true });
  const listen = (on: { subscribe: typeof bus.subscribe }, name: string) =>
    on.subscribe('t', text => heard.push(`${name} ${text}`));
  await listen(bus, 'old');
  await listen(accepting, 'accepting');
  await accepting.publish('t', 'a');
  await until('all have heard', () => heard.length === 2);
  await sending.publish('t', 'b');
  await until('those that accept have heard', () => heard.includes('accepting b'));
  expect(heard.filter(text => text.endsWith(' a')).sort()).toEqual(['accepting a', 'old a']);
});

test('wrong keys and options are refused', () => {
  const bus = new InMemorySessionBus();
  expect(() => signSessionBus({} as never, { keys: [key] })).toThrow(InvalidOptionError);
  expect(() => signSessionBus(bus, { keys: [] })).toThrow(InvalidOptionError);
  expect(() => signSessionBus(bus, { keys: [randomBytes(31)] })).toThrow('keys[0]');
  expect(() => signSessionBus(bus, { keys: [key], acceptUnsigned: 1 as never })).toThrow('acceptUnsigned');
});
