import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import {
  createSessionServices,
  RedisEventStore,
  RedisSessionBus,
  RedisSessionStore,
  RedisTaskMessageQueue,
  RedisTaskStore
} from 'mcp-sdk-anypod/server';
import { clustered, single, type AnyClient, type Connect, type Where } from '../../support/clients/redisClients.js';
import { startRedisCluster, type RedisCluster } from '../../support/servers/redisCluster.js';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { makeCertificates } from '../../support/servers/certificates.js';
import { until } from '../../support/until.js';
import { freePort } from '../../support/servers/freePort.js';

const user = { username: 'mcp', password: 'password' };

let server: RedisServer;
let cluster: RedisCluster;
let folder: string;
let tlsUrl: string;
let ca: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'redis-tls-'));
  await makeCertificates(folder);
  ca = await readFile(join(folder, 'ca.crt'), 'utf8');
  const port = await freePort();
  tlsUrl = `rediss://127.0.0.1:${port}`;
  const files = ['--tls-cert-file', join(folder, 'redis.crt'), '--tls-key-file', join(folder, 'redis.key')];
  const tls = ['--tls-port', String(port), ...files, '--tls-ca-cert-file', join(folder, 'ca.crt')];
  [server, cluster] = await Promise.all([
    startRedisServer({ args: [...tls, '--tls-auth-clients', 'no'] }),
    startRedisCluster()
  ]);
  const readme = await readFile('src/backends/redis/README.md', 'utf8');
  const [, ...words] = /^ACL SETUSER .*$/m.exec(readme)![0].split(' ') as [string, ...string[]];
  for (const { url } of [server, ...cluster.masters]) {
    const admin = new Redis(url);
    await admin.call('ACL', ...words);
    admin.disconnect();
  }
});
afterAll(async () => {
  await Promise.all([server.stop(), cluster.stop()]);
  await rm(folder, { recursive: true, force: true });
});

/** Every feature once. */
async function useEverything(redis: AnyClient): Promise<void> {
  const [sessionId, now] = [randomUUID(), Date.now()];
  const store = new RedisSessionStore({ redis });
  await store.storeSession(sessionId, { sessionId, initialized: false, createdAt: now, lastActivity: now });
  expect(await store.patchSession(sessionId, { subscribe: 'file:///x', logLevel: 'info' })).toBe(true);
  const data = await store.touchSession(sessionId);
  expect(await store.touchSession(sessionId, data!)).toBe(data);
  await store.updateSessionActivity(sessionId);
  expect((await store.getSession(sessionId))?.metadata?.mcp?.subscriptions).toEqual(['file:///x']);
  await until('the index is written', async () => {
    const ids: string[] = [];
    for await (const batch of store.listSessionIds({ subscribedTo: 'file:///x' })) ids.push(...batch);
    return ids.includes(sessionId);
  });
  await store.patchSession(sessionId, { unsubscribe: 'file:///x' });

  const bus = new RedisSessionBus({ redis });
  const heard = jest.fn();
  const leave = await bus.subscribe(sessionId, heard);
  await bus.publish(sessionId, 'x');
  await until('it is heard', () => heard.mock.calls.length > 0);
  await leave();
  await bus.close();

  const events = new RedisEventStore({ redis });
  const eventId = await events.storeEvent(sessionId, { jsonrpc: '2.0', method: 'x' });
  expect(await events.replayEventsAfter(eventId, { send: async () => {} })).toBe(sessionId);

  const tasks = new RedisTaskStore({ redis });
  const queue = new RedisTaskMessageQueue({ redis });
  const { taskId } = await tasks.createTask({ ttl: 1000 }, 1, { method: 'x' }, sessionId);
  await queue.enqueue(
    taskId,
    { type: 'notification', timestamp: 0, message: { jsonrpc: '2.0', method: 'x' } },
    sessionId
  );
  expect(await queue.dequeueAll(taskId, sessionId)).toHaveLength(1);
  await tasks.storeTaskResult(taskId, 'completed', { ok: true }, sessionId);
  expect(await tasks.getTaskResult(taskId, sessionId)).toEqual({ ok: true });
  expect((await tasks.listTasks(undefined, sessionId)).tasks).toHaveLength(1);
  await store.deleteSession(sessionId);
  expect(await store.sessionExists(sessionId)).toBe(false);
}

async function withClient(connect: Connect, where: Where, work: (redis: AnyClient) => Promise<void>): Promise<void> {
  const client = await connect(where);
  try {
    await work(client.redis);
  } finally {
    await client.close();
  }
}

describe('the ACL user of src/backends/redis/README.md', () => {
  test.each(Object.entries(single))('may do everything with %s', (_name, connect) =>
    withClient(connect, { url: server.url, ...user }, useEverything)
  );

  test.each(Object.entries(clustered))('may do everything with %s on a Cluster', (_name, connect) =>
    withClient(connect, { url: cluster.masters[0]!.url, ...user }, async redis => {
      for (let i = 0; i < 4; i++) await useEverything(redis);
    })
  );

  test.each([
    ['KEYS', '*'],
    ['FLUSHALL'],
    ['CONFIG', 'GET', '*'],
    ['SCRIPT', 'FLUSH'],
    ['ACL', 'LIST'],
    ['GET', 'another:key'],
    ['PUBLISH', 'another channel', 'x']
  ])('may not %s %s', async (command, ...args) => {
    const client = new Redis(server.url, user);
    await expect(client.call(command, ...args)).rejects.toThrow('NOPERM');
    client.disconnect();
  });
});

describe('over TLS with a CA of our own', () => {
  test.each(Object.entries(single))('%s does everything, as the ACL user', (_name, connect) =>
    withClient(connect, { url: tlsUrl, ca, ...user }, useEverything)
  );

  test('a certificate that is not trusted is an error, and no reason to keep sessions in memory', async () => {
    const redisUrl = tlsUrl.replace('rediss://', 'rediss://mcp:password@');
    const error: unknown = await createSessionServices({ redisUrl, env: {} }).catch((thrown: unknown) => thrown);
    expect((error as Error).message).toMatch(/refuses the connection \(.*certificate.*TLS/);
    expect((error as Error).message).not.toContain('password@');
  });

  test('a process that trusts the CA opens its services by URL', async () => {
    const script = `
      import { createSessionServices } from './src/index.ts';
      const services = await createSessionServices({ onLog: console.error });
      console.log(services.storage, await services.sessionStore.sessionExists('x'));
      await services.close();`;
    const env = {
      ...process.env,
      NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt'),
      MCP_TS_STORAGE_TYPE: '',
      REDIS_URL: tlsUrl.replace('rediss://', 'rediss://mcp:password@')
    };
    // It ends by itself, or this would not return.
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '-e', script],
      { env }
    );
    expect(stdout).toBe('redis false\n');
  });
});
