import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, Redis } from 'ioredis';
import {
  RedisEventStore,
  RedisSessionBus,
  RedisSessionStore,
  RedisTaskMessageQueue,
  RedisTaskStore
} from 'mcp-sdk-anypod/server';
import { sessionStoreContract } from 'mcp-sdk-anypod/testing';
import { clustered, single, type Connect, type OpenClient } from '../../support/clients/redisClients.js';
import { useRedisAndCluster } from '../../support/servers/useRedisAndCluster.js';
import { until } from '../../support/until.js';

const servers = useRedisAndCluster();

const onSingle = (connect: Connect) => () => connect({ url: servers.server.url });
const onCluster = (connect: Connect) => () => connect({ url: servers.cluster.masters[0]!.url });
const { 'ioredis 6': ioredis6, 'ioredis 5': ioredis5, ...others } = single;
const { 'ioredis 6': cluster6, 'ioredis 5': cluster5, ...otherClusters } = clustered;
/** Those that have no tests of their own. */
const newcomers: [string, () => Promise<OpenClient>][] = [
  ...Object.entries(others).map(([name, connect]) => [name, onSingle(connect)] as [string, () => Promise<OpenClient>]),
  ...Object.entries(otherClusters).map(
    ([name, connect]) => [`${name} on a Cluster`, onCluster(connect)] as [string, () => Promise<OpenClient>]
  )
];
const all: [string, () => Promise<OpenClient>][] = [
  ['ioredis 6', onSingle(ioredis6!)],
  ['ioredis 5', onSingle(ioredis5!)],
  ['ioredis 6 on a Cluster', onCluster(cluster6!)],
  ['ioredis 5 on a Cluster', onCluster(cluster5!)],
  ...newcomers
];

for (const [name, connect] of newcomers) {
  sessionStoreContract({
    describe,
    it,
    name: `RedisSessionStore on ${name}`,
    optionalMethods: ['touchSession', 'refreshSessions', 'getSessionOwner', 'patchSession', 'listSessionIds'],
    makeTwo: async ({ ttlSeconds }) => {
      const clients = [await connect(), await connect()] as const;
      return {
        first: new RedisSessionStore({ redis: clients[0].redis, ttlSeconds }),
        second: new RedisSessionStore({ redis: clients[1].redis, ttlSeconds }),
        close: async () => void (await Promise.all(clients.map(client => client.close())))
      };
    }
  });
}

describe.each(all)('over %s', (name, connect) => {
  let clients: OpenClient[];
  beforeEach(async () => void (clients = await Promise.all([connect(), connect()])));
  afterEach(async () => void (await Promise.all(clients.map(client => client.close()))));

  test('published messages arrive in order, even after the subscriber was disconnected', async () => {
    const [speaker, listener] = clients.map(({ redis }) => new RedisSessionBus({ redis })) as [
      RedisSessionBus,
      RedisSessionBus
    ];
    const topics = Array.from({ length: 6 }, (_, i) => `${name} ${i}`);
    const heard: string[] = [];
    const leaves = await Promise.all(
      topics.map(topic => listener.subscribe(topic, text => heard.push(`${topic}: ${text}`)))
    );
    await Promise.all(topics.flatMap(topic => [speaker.publish(topic, '1'), speaker.publish(topic, '2')]));
    await until('all is heard', () => heard.length === 2 * topics.length);
    for (const topic of topics) {
      expect(heard.filter(text => text.startsWith(`${topic}:`))).toEqual([`${topic}: 1`, `${topic}: 2`]);
    }
    for (const admin of servers.admins) await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until('all is heard again', async () => {
      const open = topics.filter(topic => !heard.includes(`${topic}: again`));
      await Promise.all(open.map(topic => speaker.publish(topic, 'again')));
      return open.length === 0;
    });
    await leaves[0]!();
    const before = heard.filter(text => text.startsWith(`${topics[0]}:`)).length;
    await speaker.publish(topics[0]!, 'nobody');
    await speaker.publish(topics[1]!, 'end');
    await until('the end is heard', () => heard.includes(`${topics[1]}: end`));
    expect(heard.filter(text => text.startsWith(`${topics[0]}:`))).toHaveLength(before);
    await Promise.all([speaker.close(), listener.close()]);
  });

  test('an outage ends neither the subscriptions from before it nor those from during it', async () => {
    const [speaker, listener] = clients.map(({ redis }) => new RedisSessionBus({ redis })) as [
      RedisSessionBus,
      RedisSessionBus
    ];
    const heard = new Set<string>();
    const topics = Array.from({ length: 12 }, (_, i) => `${name} outage ${i}`);
    const subscribe = (topic: string) => listener.subscribe(topic, () => heard.add(topic));
    await Promise.all(topics.slice(6).map(subscribe));
    const victim = name.includes('Cluster') ? servers.cluster.masters[1]! : servers.server;
    await victim.kill();
    const subscribed = Promise.all(topics.slice(0, 6).map(subscribe));
    await victim.restart();
    await subscribed;
    await until('all is heard', async () => {
      const open = topics.filter(topic => !heard.has(topic));
      await Promise.allSettled(open.map(topic => speaker.publish(topic, 'x')));
      await delay(20);
      return open.length === 0;
    });
    await Promise.all([speaker.close(), listener.close()]);
    await servers.cluster.untilUp();
  });

  test('the event store appends, finds and replays, in more than one trip', async () => {
    const [writer, reader] = clients.map(({ redis }) => new RedisEventStore({ redis })) as [
      RedisEventStore,
      RedisEventStore
    ];
    const streamId = `stream of ${name}`;
    const note = (i: number) => ({ jsonrpc: '2.0' as const, method: 'n', params: { i } });
    const first = await writer.storeEvent(streamId, note(0));
    for (let i = 1; i <= 600; i += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, k) => writer.storeEvent(streamId, note(i + k))));
    }
    expect(await reader.getStreamIdForEventId(first)).toBe(streamId);
    expect(await reader.getStreamIdForEventId(`${streamId}@1-1`)).toBeUndefined();
    const seen: unknown[] = [];
    const send = async (_id: string, message: unknown) => void seen.push((message as ReturnType<typeof note>).params.i);
    expect(await reader.replayEventsAfter(first, { send })).toBe(streamId);
    expect(seen).toHaveLength(600);
    expect(new Set(seen).size).toBe(600);
  });

  test('tasks and their messages are the same for two pods', async () => {
    const [mine, yours] = clients.map(({ redis }) => ({
      tasks: new RedisTaskStore({ redis }),
      queue: new RedisTaskMessageQueue({ redis })
    })) as [Pods, Pods];
    const sessionId = `session of ${name}`;
    const { taskId } = await mine.tasks.createTask({ ttl: 60_000 }, 1, { method: 'x' }, sessionId);
    expect(await yours.tasks.getTask(taskId, sessionId)).toMatchObject({ taskId, status: 'working', ttl: 60_000 });
    expect(await yours.tasks.getTask('another', sessionId)).toBeNull();
    const note = { type: 'notification' as const, timestamp: 0, message: { jsonrpc: '2.0' as const, method: 'x' } };
    for (let i = 0; i < 3; i++) await mine.queue.enqueue(taskId, note, sessionId, 3);
    await expect(mine.queue.enqueue(taskId, note, sessionId, 3)).rejects.toThrow('overflow');
    expect(await yours.queue.dequeue(taskId, sessionId)).toEqual(note);
    expect(await yours.queue.dequeueAll(taskId, sessionId)).toEqual([note, note]);
    expect(await yours.queue.dequeue(taskId, sessionId)).toBeUndefined();
    await yours.tasks.storeTaskResult(taskId, 'completed', { ok: true }, sessionId);
    expect(await mine.tasks.getTaskResult(taskId, sessionId)).toEqual({ ok: true });
    expect((await mine.tasks.listTasks(undefined, sessionId)).tasks.map(task => task.status)).toEqual(['completed']);
  });

  test('a failing or missing session does not affect sessions that are read at the same time', async () => {
    const store = new RedisSessionStore({ redis: clients[0]!.redis });
    const ids = ['good', 'gone', 'broken', 'better'].map(each => `${each} ${name}`);
    await Promise.all(ids.map(id => store.storeSession(id, record(id))));
    const records = await Promise.all(ids.map(id => store.touchSession(id)));
    const admin = name.includes('Cluster') ? new Cluster([...servers.cluster.nodes]) : new Redis(servers.server.url);
    for (const id of [ids[1], ids[2]]) await admin.del(`mcp:session:{${id}}`);
    await admin.lpush(`mcp:session:{${ids[2]}}`, 'no string');
    admin.disconnect();
    const touched = await Promise.allSettled(ids.map((id, index) => store.touchSession(id, records[index]!)));
    const [good, gone, broken, better] = touched;
    expect([good, gone, better]).toEqual([records[0], null, records[3]].map(value => ({ status: 'fulfilled', value })));
    expect(String((broken as PromiseRejectedResult).reason)).toContain('WRONGTYPE');
  });

  test('works after Redis has forgotten its scripts', async () => {
    const store = new RedisSessionStore({ redis: clients[0]!.redis });
    const [sessionId, other] = [`forgotten by ${name}`, `forgotten as well by ${name}`];
    await Promise.all([sessionId, other].map(id => store.storeSession(id, record(id))));
    const records = await Promise.all([sessionId, other].map(id => store.touchSession(id)));
    for (const admin of servers.admins) await admin.script('FLUSH');
    expect(await Promise.all(records.map(each => store.touchSession(each!.sessionId, each!)))).toEqual(records);
    expect(await store.patchSession(sessionId, { logLevel: 'info' })).toBe(true);
    await store.deleteSession(sessionId);
    expect(await store.sessionExists(sessionId)).toBe(false);
  });
});

interface Pods {
  tasks: RedisTaskStore;
  queue: RedisTaskMessageQueue;
}

function record(sessionId: string) {
  const now = Date.now();
  return { sessionId, initialized: false, createdAt: now, lastActivity: now, metadata: { a: 1 } };
}
