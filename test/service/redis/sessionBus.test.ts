import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5';
import { RedisSessionBus } from 'mcp-sdk-anypod/server';
import { sessionBusContract } from 'mcp-sdk-anypod/testing';
import { useRedisAndCluster } from '../../support/servers/useRedisAndCluster.js';
import { until } from '../../support/until.js';

const servers = useRedisAndCluster();

interface Options {
  keyPrefix?: string;
  enableOfflineQueue?: boolean;
  lazyConnect?: boolean;
  enableAutoPipelining?: boolean;
  /** Of each connection. */
  redisOptions?: { autoResubscribe?: boolean; maxRetriesPerRequest?: number; commandTimeout?: number };
}

/** What someone may have good reasons to give the client that the pod uses for everything else. */
const settings: [string, Options][] = [
  ['no options', {}],
  [
    'a key prefix, auto pipelining and a lazy connection',
    { keyPrefix: 'app:', enableAutoPipelining: true, lazyConnect: true }
  ],
  [
    'options to fail fast',
    {
      enableOfflineQueue: false,
      redisOptions: { autoResubscribe: false, maxRetriesPerRequest: 1, commandTimeout: 300 }
    }
  ]
];

/** They tell of outages that the tests bring about. */
const ignore = () => {};

const kinds = {
  'Redis of ioredis 6': ({ redisOptions, ...own }: Options) =>
    new Redis(servers.server.url, { ...own, ...redisOptions }).on('error', ignore),
  'Redis of ioredis 5': ({ redisOptions, ...own }: Options) =>
    new Redis5(servers.server.url, { ...own, ...redisOptions }).on('error', ignore),
  'Cluster of ioredis 6': (options: Options) => new Cluster([...servers.cluster.nodes], options).on('error', ignore),
  'Cluster of ioredis 5': (options: Options) => new Cluster5([...servers.cluster.nodes], options).on('error', ignore)
};

/** Two buses over clients of their own. */
async function makeTwo(make: (options: Options) => Redis | Redis5 | Cluster | Cluster5, options: Options = {}) {
  const clients = [make(options), make(options)] as const;
  if (!options.lazyConnect) await until('they are ready', () => clients.every(({ status }) => status === 'ready'));
  const [speaker, listener] = [new RedisSessionBus({ redis: clients[0] }), new RedisSessionBus({ redis: clients[1] })];
  const close = async () => {
    await Promise.all([speaker.close(), listener.close()]);
    clients.forEach(client => client.disconnect());
  };
  return { speaker, listener, close };
}

for (const [kind, make] of Object.entries(kinds)) {
  sessionBusContract({
    describe,
    it,
    name: `RedisSessionBus over ${kind}`,
    makeTwo: async () => {
      const { speaker, listener, close } = await makeTwo(make);
      return { first: speaker, second: listener, close };
    }
  });
}

describe.each(Object.entries(kinds))('over %s', (kind, make) => {
  test.each(settings)('with %s: published messages arrive, even after the connection was dropped', async (...each) => {
    const { speaker, listener, close } = await makeTwo(make, each[1]);
    const topics = Array.from({ length: 6 }, (_, i) => `${i} with ${each[0]}`);
    const heard: string[] = [];
    await Promise.all(topics.map(topic => listener.subscribe(topic, text => heard.push(`${topic}: ${text}`))));
    await Promise.all(topics.map(topic => speaker.publish(topic, 'first')));
    await until('all is heard', () => heard.length === topics.length);

    for (const admin of servers.admins) await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await untilHeard(speaker, 'again', topics, topic => heard.includes(`${topic}: again`));
    await close();
  });

  test('subscriptions made before or during an outage work after the outage', async () => {
    const { speaker, listener, close } = await makeTwo(make, { redisOptions: { commandTimeout: 50 } });
    const heard = new Set<string>();
    const subscribe = (topic: string) => listener.subscribe(topic, () => heard.add(topic));
    const topics = Array.from({ length: 12 }, (_, i) => `${i} in the outage`);
    await Promise.all(topics.slice(6).map(subscribe));
    const victim = kind.startsWith('Cluster') ? servers.cluster.masters[1]! : servers.server;
    await victim.kill();
    const subscribed = Promise.all(topics.slice(0, 6).map(subscribe));
    await victim.restart();
    await subscribed;
    await untilHeard(speaker, 'back', topics, topic => heard.has(topic));
    await close();
  });
});

test('a listener that throws affects neither other listeners nor later messages', async () => {
  const { speaker, listener, close } = await makeTwo(kinds['Redis of ioredis 6']);
  const heard: string[] = [];
  await listener.subscribe('t', () => {
    throw new Error('of the application');
  });
  await listener.subscribe('t', text => heard.push(text));
  await speaker.publish('t', 'x');
  await speaker.publish('t', 'y');
  await until('both are heard', () => heard.length === 2);
  expect(heard).toEqual(['x', 'y']);
  await close();
});

test('an error that onLog throws does not end the process or the bus', async () => {
  const client = kinds['Redis of ioredis 6']({});
  let told = 0;
  const onLog = () => {
    told += 1;
    throw new Error('of the application');
  };
  const bus = new RedisSessionBus({ redis: client, onLog });
  const heard: string[] = [];
  await bus.subscribe('t', () => {
    throw new Error('of a listener');
  });
  await bus.subscribe('t', text => heard.push(text));
  await servers.server.kill();
  await until('the error of the connection is told', () => told > 0);
  await servers.server.restart();
  await untilHeard(bus, 'x', ['t'], () => heard.length > 0);
  await bus.close();
  client.disconnect();
});

/** Publishes until each topic has been heard: the listener's connection may be on its way back. */
async function untilHeard(
  speaker: RedisSessionBus,
  text: string,
  topics: string[],
  isHeard: (topic: string) => boolean
): Promise<void> {
  await until(`all is heard ${text}`, async () => {
    const open = topics.filter(topic => !isHeard(topic));
    await Promise.allSettled(open.map(topic => speaker.publish(topic, text)));
    await delay(20);
    return open.length === 0;
  });
}
