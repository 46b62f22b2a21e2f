import { Cluster, Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import {
  EventCursorError,
  RedisEventStore,
  RedisSessionStore,
  RedisTaskMessageQueue,
  RedisTaskStore,
  SessionStoreUnavailableError,
  type RedisClient
} from 'mcp-sdk-anypod/server';
import { lockContract, principalContract, sessionStateContract, sessionStoreContract } from 'mcp-sdk-anypod/testing';
import { createClient } from 'redis';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { twoRedisStores } from '../../support/stores/twoRedisStores.js';

let server: RedisServer;
beforeAll(async () => void (server = await startRedisServer()));
afterAll(() => server.stop());

const record = (sessionId: string) => {
  const now = Date.now();
  return { sessionId, initialized: false, createdAt: now, lastActivity: now };
};

type Closable = RedisClient & { disconnect(): void };
const clients: [string, () => Closable][] = [
  ['ioredis 6 with stringNumbers', () => new Redis(server.url, { stringNumbers: true })],
  ['ioredis 5 with stringNumbers', () => new Redis5(server.url, { stringNumbers: true })],
  ["ioredis 6 with replyMapping 'resp3'", () => new Redis(server.url, { protocol: 3, replyMapping: 'resp3' })]
];

for (const [name, connect] of clients) {
  const makeTwo = twoRedisStores(
    connect,
    (redis, ttlSeconds) => new RedisSessionStore({ redis, ttlSeconds, keyPrefix: `${name}:` })
  );
  const optionalMethods = [
    'touchSession',
    'refreshSessions',
    'getSessionOwner',
    'patchSession',
    'listSessionIds'
  ] as const;
  const suite = { describe, it: test.concurrent, name: `RedisSessionStore on ${name}`, makeTwo };
  sessionStoreContract({ ...suite, optionalMethods: [...optionalMethods] });
  lockContract(suite);
  sessionStateContract(suite);
  principalContract(suite);
}

test('node-redis with RESP 3 and a type mapping of its own serves sessions, events and tasks', async () => {
  const redis = createClient({
    url: server.url,
    RESP: 3,
    commandOptions: { typeMapping: { 36: Buffer, 37: Map, 58: String } }
  } as unknown as Parameters<typeof createClient>[0]);
  await redis.connect();
  try {
    const store = new RedisSessionStore({ redis });
    await store.storeSession('mapped', record('mapped'));
    expect(await store.patchSession('mapped', { logLevel: 'info' })).toBe(true);
    expect((await store.touchSession('mapped'))?.metadata?.mcp?.logLevel).toBe('info');
    expect(await store.deleteSession('mapped')).toBe(true);
    expect(await store.sessionExists('mapped')).toBe(false);
    const events = new RedisEventStore({ redis });
    const id = await events.storeEvent('mapped', { jsonrpc: '2.0', method: 'x' });
    expect(await events.getStreamIdForEventId(id)).toBe('mapped');
    const tasks = new RedisTaskStore({ redis });
    const { taskId } = await tasks.createTask({}, 1, { method: 'x' }, 'mapped');
    expect((await tasks.listTasks(undefined, 'mapped')).tasks.map(task => task.taskId)).toEqual([taskId]);
  } finally {
    redis.destroy();
  }
});

test.each([['slave'], ['all']] as const)(
  'an ioredis Cluster client with scaleReads %s reads sessions and events by scripts, which only masters run',
  scaleReads => {
    const cluster = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true, scaleReads });
    const sent: string[] = [];
    const called = (name: string) => async () => {
      sent.push(name);
      return null;
    };
    const store = new RedisSessionStore({ redis: cluster });
    const events = new RedisEventStore({ redis: cluster });
    for (const name of ['get', 'pttl', 'hgetall', 'exists', 'xrevrange', 'xrange', 'anypodRead']) {
      Object.assign(cluster, { [name]: called(name) });
    }
    return Promise.allSettled([store.getSession('x'), store.sessionExists('x'), events.latestEventId('x')]).then(() => {
      cluster.disconnect();
      expect(sent).toEqual(Array.from({ length: 5 }, () => 'anypodRead'));
    });
  }
);

test('an error of a task store or queue says nothing of the task', async () => {
  const redis = new Redis(server.url);
  const [tasks, queue] = [new RedisTaskStore({ redis }), new RedisTaskMessageQueue({ redis })];
  const { taskId } = await tasks.createTask({}, 1, { method: 'x' }, 'private');
  await redis.set(`mcp:session:{private}:task-messages:${taskId}`, 'no list');
  await redis.set(`mcp:session:{private}:task:${taskId}`, 'no hash');
  const message = { type: 'notification', timestamp: 0, message: { jsonrpc: '2.0', method: 'secret' } } as const;
  const failed = await Promise.allSettled([
    tasks.storeTaskResult(taskId, 'completed', { secret: 'secret' }, 'private'),
    tasks.getTask(taskId, 'private'),
    queue.enqueue(taskId, message, 'private'),
    queue.dequeue(taskId, 'private')
  ]);
  for (const each of failed) {
    const reason: unknown = (each as PromiseRejectedResult).reason;
    expect(reason).toBeInstanceOf(Error);
    expect(JSON.stringify({ ...(reason as object) })).not.toMatch(/secret|private/);
    expect(Object.keys(reason as object)).not.toContain('command');
  }
  redis.disconnect();
});

test('a call to a task store that Redis does not answer fails after ten seconds', async () => {
  const own = await startRedisServer();
  const redis = new Redis(own.url).on('error', () => {});
  await redis.ping();
  const tasks = new RedisTaskStore({ redis });
  own.pause();
  await expect(tasks.getTask('x')).rejects.toThrow('did not answer within 10000 ms');
  own.resume();
  redis.disconnect();
  await own.stop();
});

test.each(['99999999999999999999-0', '0-99999999999999999999', '18446744073709551616-0'])(
  'a cursor with the number %s, which is too large for Redis, is a cursor that is not kept',
  async id => {
    const redis = new Redis(server.url);
    const events = new RedisEventStore({ redis });
    expect(await events.getStreamIdForEventId(`s:standalone@${id}`)).toBeUndefined();
    const replayed = events.replayEventsAfter(`s:standalone@${id}`, { send: async () => {} });
    await expect(replayed).rejects.toThrow(EventCursorError);
    redis.disconnect();
  }
);

test('one of two concurrent deletions reports that it deleted the session', async () => {
  const [one, two] = [new Redis(server.url), new Redis(server.url)];
  const stores = [one, two].map(redis => new RedisSessionStore({ redis }));
  for (let i = 0; i < 20; i++) {
    await stores[0]!.storeSession(`twice ${i}`, record(`twice ${i}`));
    const deleted = await Promise.all(stores.map(store => store.deleteSession(`twice ${i}`)));
    expect(deleted.filter(Boolean)).toHaveLength(1);
  }
  [one, two].forEach(client => client.disconnect());
});

test('a change after a failover that lost a change does not get the revision of the lost one', async () => {
  const redis = new Redis(server.url);
  const store = new RedisSessionStore({ redis, keyPrefix: 'lost:' });
  await store.storeSession('a', record('a'));
  const revisions = new Set<number>();
  for (let i = 0; i < 10; i++) {
    await redis.set('lost:{a}', '1', 'KEEPTTL');
    await store.patchSession('a', { logLevel: 'info' });
    revisions.add((await store.getSession('a'))!.revision!);
  }
  expect(revisions.size).toBe(10);
  redis.disconnect();
});

test('a session that is opened again with the id of an expired one is not taken for it', async () => {
  const redis = new Redis(server.url);
  const store = new RedisSessionStore({ redis, keyPrefix: 'again:' });
  await store.storeSession('a', { ...record('a'), metadata: { mcp: { principal: 'first' } } });
  const known = (await store.getSession('a'))!;
  await redis.del('again:{a}');
  await store.storeSession('a', { ...record('a'), metadata: { mcp: { principal: 'second' } } });
  expect((await store.touchSession('a', known))?.metadata?.mcp?.principal).toBe('second');
  redis.disconnect();
});

test('a pod whose clock is an hour ahead does not drop the entries of others from the indexes', async () => {
  const redis = new Redis(server.url);
  const store = new RedisSessionStore({ redis, keyPrefix: 'clock:', ttlSeconds: 600 });
  const owned = (id: string) => ({ ...record(id), metadata: { mcp: { principal: 'me' } } });
  await store.storeSession('early', owned('early'));
  jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 3_600_000);
  try {
    await store.storeSession('late', owned('late'));
  } finally {
    jest.restoreAllMocks();
  }
  const ids: string[] = [];
  for await (const batch of store.listSessionIds({ principal: 'me' })) ids.push(...batch);
  expect(ids.sort()).toEqual(['early', 'late']);
  redis.disconnect();
});

describe('with deleteReplicas', () => {
  let replica: RedisServer;
  let redis: Redis;
  beforeAll(async () => {
    replica = await startRedisServer({ args: ['--replicaof', '127.0.0.1', String(server.port)] });
    redis = new Redis(server.url);
    // The master calls a replica online before it has loaded the data, and the loaded data may contain the first write.
    // The second one has reached it after that.
    for (const write of ['first', 'second']) {
      await redis.set('replica-ready', write);
      while ((await redis.wait(1, 1000)) < 1);
    }
  });
  afterAll(async () => {
    redis.disconnect();
    await replica.stop();
  });

  test('a deletion is confirmed after the replica has received it', async () => {
    const store = new RedisSessionStore({ redis, deleteReplicas: 1 });
    await store.storeSession('kept', record('kept'));
    expect(await store.deleteSession('kept')).toBe(true);
    const reader = new Redis(replica.url);
    expect(await reader.exists('mcp:session:{kept}')).toBe(0);
    expect(await reader.exists('mcp:session:{kept}:deleted')).toBe(1);
    reader.disconnect();
  });

  test('a deletion that too few replicas received is an error', async () => {
    const store = new RedisSessionStore({ redis, deleteReplicas: 2 });
    await store.storeSession('few', record('few'));
    await expect(store.deleteSession('few')).rejects.toThrow(SessionStoreUnavailableError);
    expect(await store.sessionExists('few')).toBe(false);
  });
});
