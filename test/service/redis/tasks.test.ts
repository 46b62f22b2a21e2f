import { randomUUID } from 'node:crypto';
import { Cluster, Redis } from 'ioredis';
import {
  createMcpHandler,
  InvalidOptionError,
  type McpHandler,
  McpServer,
  RedisSessionStore,
  RedisTaskMessageQueue,
  RedisTaskStore
} from 'mcp-sdk-anypod/server';
import type { QueuedMessage } from 'mcp-sdk-upstream/experimental/tasks/interfaces.js';
import { startRedisCluster } from '../../support/servers/redisCluster.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { spentOn } from '../../support/servers/redisStats.js';
import { until } from '../../support/until.js';

const redis = useRedis();
let prefix: string;
let store: RedisTaskStore;
let queue: RedisTaskMessageQueue;

beforeEach(() => {
  prefix = `${randomUUID()}:`;
  store = new RedisTaskStore({ redis: redis.client, keyPrefix: prefix, maxTtlMs: 500_000 });
  queue = new RedisTaskMessageQueue({ redis: redis.client, keyPrefix: prefix, ttlMs: 70_000 });
});

const call = { method: 'tools/call', params: { name: 'secret', arguments: {} } };
const create = (ttl?: number | null, sessionId: string | undefined = 's') =>
  store.createTask({ ttl }, 1, call, sessionId);
const note = (data: unknown): QueuedMessage => ({
  type: 'notification',
  timestamp: 0,
  message: { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data } }
});

/** The time to live of every key, in seconds. */
async function timesToLive(): Promise<Record<string, number>> {
  const keys = await redis.client.keys(`${prefix}*`);
  const times = keys.map(
    async key => [key.slice(prefix.length), Math.round((await redis.client.pttl(key)) / 1000)] as const
  );
  return Object.fromEntries((await Promise.all(times)).sort());
}

// Promise: L8
test('every key gets a time to live when it is written, and the list lives longer than its tasks', async () => {
  const { taskId: brief } = await create(100_000);
  expect(await timesToLive()).toEqual({ [`{s}:task:${brief}`]: 100, '{s}:tasks': 100, '{s}:task-expiries': 100 });
  const { taskId: unlimited } = await create(null);
  const { taskId: greedy, ttl } = await create(10 ** 12);
  expect(ttl).toBe(500_000);
  await create(1000);
  await queue.enqueue(brief, note(1), 's');
  expect(await timesToLive()).toMatchObject({
    [`{s}:task:${brief}`]: 100,
    [`{s}:task:${unlimited}`]: 500,
    [`{s}:task:${greedy}`]: 500,
    [`{s}:task-messages:${brief}`]: 70,
    '{s}:tasks': 500,
    '{s}:task-expiries': 500
  });
});

test('a change renews the time to live of a task, up to its limit', async () => {
  const [limited, unlimited] = [(await create(100_000)).taskId, (await create(0)).taskId];
  const keys = [limited, unlimited].map(taskId => `${prefix}{s}:task:${taskId}`);
  const index = [`${prefix}{s}:tasks`, `${prefix}{s}:task-expiries`];
  for (const key of [...keys, ...index]) await redis.client.pexpire(key, 50_000);
  for (const taskId of [limited, unlimited]) await store.updateTaskStatus(taskId, 'input_required', undefined, 's');
  expect(Object.values(await timesToLive()).sort()).toEqual([50, 500, 500, 500]);
  await store.storeTaskResult(limited, 'completed', {}, 's');
  expect(await timesToLive()).toMatchObject({ [`{s}:task:${limited}`]: 100, [`{s}:task:${unlimited}`]: 500 });
});

test('expired tasks leave the list when the next task is created', async () => {
  await create(60_000);
  for (let i = 0; i < 20; i++) await create(1);
  await until('they expire', async () => (await redis.client.keys(`${prefix}{s}:task:*`)).length === 1);
  await create(60_000);
  expect(await redis.client.zcard(`${prefix}{s}:tasks`)).toBe(2);
  expect(await redis.client.zcard(`${prefix}{s}:task-expiries`)).toBe(2);
});

test('neither the request nor the id of its session is kept with a task', async () => {
  const { taskId } = await create(null, 'session');
  expect(JSON.stringify(await redis.client.hgetall(`${prefix}{session}:task:${taskId}`))).not.toMatch(/secret|session/);
});

test('each call costs one round trip, and a page of the list two', async () => {
  const { taskId } = await create(60_000);
  await store.listTasks(undefined, 's');
  await store.updateTaskStatus(taskId, 'working', undefined, 's');
  await queue.enqueue(taskId, note(0), 's');
  const admin = new Redis(redis.server.url);
  const trips = async (work: () => Promise<unknown>) => (await spentOn(admin, work)).trips;
  expect(await trips(() => create())).toBe(1);
  expect(await trips(() => store.getTask(taskId, 's'))).toBe(1);
  expect(await trips(() => store.updateTaskStatus(taskId, 'working', 'x', 's'))).toBe(1);
  expect(await trips(() => store.storeTaskResult(taskId, 'completed', {}, 's'))).toBe(1);
  expect(await trips(() => store.getTaskResult(taskId, 's'))).toBe(1);
  expect(await trips(() => store.listTasks(undefined, 's'))).toBe(2);
  expect(await trips(() => queue.enqueue(taskId, note(1), 's'))).toBe(1);
  expect(await trips(() => queue.dequeue(taskId, 's'))).toBe(1);
  expect(await trips(() => queue.dequeueAll(taskId, 's'))).toBe(1);
  admin.disconnect();
});

test('works after Redis has forgotten its scripts', async () => {
  const { taskId } = await create();
  await redis.client.script('FLUSH');
  await store.storeTaskResult(taskId, 'completed', { ok: true }, 's');
  await queue.enqueue(taskId, note(1), 's');
  expect((await store.listTasks(undefined, 's')).tasks).toHaveLength(1);
  expect(await queue.dequeueAll(taskId, 's')).toHaveLength(1);
});

test('a full Redis refuses new tasks, results and messages, and keeps the existing ones unchanged', async () => {
  const { taskId } = await create(60_000);
  // Something to prune must not open the door.
  await create(1);
  await queue.enqueue(taskId, note(1), 's');
  await until('they expire', async () => (await redis.client.keys(`${prefix}{s}:task:*`)).length === 1);
  await redis.client.config('SET', 'maxmemory', '1');
  try {
    await expect(create()).rejects.toThrow('OOM');
    await expect(store.storeTaskResult(taskId, 'completed', {}, 's')).rejects.toThrow('OOM');
    await expect(queue.enqueue(taskId, note(2), 's')).rejects.toThrow('OOM');
    expect((await store.listTasks(undefined, 's')).tasks).toEqual([
      expect.objectContaining({ taskId, status: 'working' })
    ]);
    expect(await queue.dequeueAll(taskId, 's')).toEqual([note(1)]);
  } finally {
    await redis.client.config('SET', 'maxmemory', '0');
  }
});

test('throws if keys hold another type, and does not report the task as missing', async () => {
  const { taskId } = await create();
  await redis.client.set(`${prefix}{s}:task:${taskId}`, 'a string');
  await expect(store.getTask(taskId, 's')).rejects.toThrow('WRONGTYPE');
  await expect(store.getTaskResult(taskId, 's')).rejects.toThrow('WRONGTYPE');
  await expect(store.updateTaskStatus(taskId, 'working', undefined, 's')).rejects.toThrow('WRONGTYPE');
  await expect(store.listTasks(undefined, 's')).rejects.toThrow('WRONGTYPE');
});

test('emptying a queue, for which the SDK does not wait, never rejects', async () => {
  const onLog = jest.fn();
  const gone = new Redis(redis.server.url, { lazyConnect: true, enableOfflineQueue: false });
  gone.disconnect();
  queue = new RedisTaskMessageQueue({ redis: gone, onLog });
  await expect(queue.dequeue('task', 's')).rejects.toThrow();
  expect(await queue.dequeueAll('task', 's')).toEqual([]);
  expect(onLog).toHaveBeenCalledWith('warn', expect.stringContaining('could not be removed'));
});

test('on a cluster the keys of a session share a slot, and sessions are spread over all masters', async () => {
  const cluster = await startRedisCluster();
  const redis = new Cluster([...cluster.nodes]);
  try {
    store = new RedisTaskStore({ redis });
    queue = new RedisTaskMessageQueue({ redis });
    for (const sessionId of [undefined, '{}', '}{', ...Array.from({ length: 30 }, () => randomUUID())]) {
      const { taskId } = await store.createTask({}, 1, call, sessionId);
      await queue.enqueue(taskId, note(1), sessionId);
    }
    const slots = new Map<string, Set<number>>();
    for (const master of cluster.masters) {
      const node = new Redis(master.url);
      const keys = await node.keys('*');
      expect(keys.length).toBeGreaterThan(0);
      for (const key of keys) {
        const session = key.replace(/:task.*$/, '');
        slots.set(session, (slots.get(session) ?? new Set()).add(await node.cluster('KEYSLOT', key)));
      }
      node.disconnect();
    }
    expect([...slots.values()].map(({ size }) => size)).toEqual(Array(33).fill(1));
  } finally {
    redis.disconnect();
    await cluster.stop();
  }
});

test.each([
  [RedisTaskStore, { maxTtlMs: 0 }, 'maxTtlMs'],
  [RedisTaskStore, { keyPrefix: 1 }, 'keyPrefix'],
  [RedisTaskStore, { redis: {} }, 'redis'],
  [RedisTaskMessageQueue, { ttlMs: 1.5 }, 'ttlMs'],
  [RedisTaskMessageQueue, { onLog: true }, 'onLog'],
  [RedisTaskMessageQueue, { redis: null }, 'redis']
] as const)('%o refuses %o by name', (Class, options, name) => {
  const make = () => new (Class as new (options: unknown) => unknown)({ redis: redis.client, ...options });
  expect(make).toThrow(InvalidOptionError);
  expect(make).toThrow(name);
});

describe('two pods in one process, with one queue', () => {
  let sessionStore: RedisSessionStore;
  let pods: McpHandler[];
  let servers: McpServer[];
  let errors: string[];

  beforeEach(() => {
    sessionStore = new RedisSessionStore({ redis: redis.client, keyPrefix: prefix });
    servers = [];
    errors = [];
    const info = { name: 'local', version: '1' };
    const makeServer = () => {
      servers.push(new McpServer(info, { capabilities: { tasks: {} }, taskStore: store, taskMessageQueue: queue }));
      return servers.at(-1)!;
    };
    const onerror = (error: Error) => errors.push(error.message);
    pods = [1, 2].map(() => createMcpHandler(makeServer, { sessionStore, onerror, enableJsonResponse: true }));
  });
  afterEach(async () => {
    await Promise.all(pods.map(pod => pod.close({ drainMs: 0 })));
    await sessionStore.close();
  });

  async function post(pod: number, message: Record<string, unknown>, sessionId?: string): Promise<Response> {
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    const body = JSON.stringify({ jsonrpc: '2.0', ...message });
    const session: Record<string, string> = sessionId === undefined ? {} : { 'mcp-session-id': sessionId };
    return pods[pod]!.fetch(
      new Request('http://pod/mcp', { method: 'POST', headers: { ...headers, ...session }, body })
    );
  }

  /** A session that is live on both pods. */
  async function open(): Promise<string> {
    const params = {
      protocolVersion: '2025-11-25',
      capabilities: { elicitation: {} },
      clientInfo: { name: 'c', version: '1' }
    };
    const sessionId = (await post(0, { id: 1, method: 'initialize', params })).headers.get('mcp-session-id')!;
    await post(0, { method: 'notifications/initialized' }, sessionId);
    await post(1, { id: 2, method: 'ping' }, sessionId);
    return sessionId;
  }

  const ask = (pod: number, taskId: string, message: string) =>
    servers[pod]!.server.elicitInput(
      { message, requestedSchema: { type: 'object', properties: {} } },
      { relatedTask: { taskId } }
    );

  test('each server gets the answer to its own question, whichever pod delivered the question', async () => {
    const sessionId = await open();
    const { taskId } = await create(60_000, sessionId);
    const asked = [ask(1, taskId, 'of the second'), ask(0, taskId, 'of the first'), ask(1, taskId, 'again')];
    for (let i = 0; i < 3; i++) {
      const { message } = (await queue.dequeue(taskId, sessionId)) as QueuedMessage & { type: 'request' };
      const content = { to: message.params?.message };
      await post(0, { id: message.id, result: { action: 'accept', content } }, sessionId);
    }
    const answers = (await Promise.all(asked)).map(({ content }) => content?.to);
    expect(answers).toEqual(['of the second', 'of the first', 'again']);
    expect(errors).toEqual([]);
  });

  test('questions that cannot be delivered fail at the servers that asked, whichever pod empties the queue', async () => {
    const sessionId = await open();
    const { taskId } = await create(60_000, sessionId);
    await queue.enqueue(taskId, note(1), sessionId);
    const asked = [0, 1, 0].map(pod => ask(pod, taskId, 'anyone?'));
    const failed = Promise.all(asked.map(question => expect(question).rejects.toThrow('Task cancelled or completed')));
    await until(
      'all is queued',
      async () => (await redis.client.llen(`${prefix}{${sessionId}}:task-messages:${taskId}`)) === 4
    );
    expect(await queue.dequeueAll(taskId, sessionId)).toEqual([note(1)]);
    await failed;
    expect(errors).toEqual([]);
  });

  test('a server does not wait for a question that could not be queued', async () => {
    const sessionId = await open();
    await redis.client.set(`${prefix}{${sessionId}}:task-messages:task`, 'no queue');
    await expect(ask(0, 'task', 'anyone?')).rejects.toThrow('WRONGTYPE');
    const instance = /^[0-9a-f]{12}/;
    await redis.client.del(`${prefix}{${sessionId}}:task-messages:task`);
    const asked = ask(0, 'task', 'now?');
    const { message } = (await until('it asks', () => queue.dequeue('task', sessionId))) as QueuedMessage & {
      type: 'request';
    };
    const [owner] = instance.exec(String(message.id))!;
    await post(1, { id: `${owner}:0`, result: { action: 'accept', content: {} } }, sessionId);
    await until('it is dropped', () => errors.some(text => text.includes('not open')));
    await post(1, { id: message.id, result: { action: 'accept', content: { ok: true } } }, sessionId);
    expect((await asked).content).toEqual({ ok: true });
  });
});
