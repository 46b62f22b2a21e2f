import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import {
  BackendUnavailableError,
  createSessionServices,
  createSessionStore,
  isRedisAvailable,
  type SessionStore
} from 'mcp-sdk-anypod/server';
import { PostgresServer } from '../../support/servers/postgresServer.js';
import { connect } from '../../support/clients/sdkClient.js';
import { startPod, startPods } from '../../support/pods/process.js';
import { startRedisCluster } from '../../support/servers/redisCluster.js';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { until } from '../../support/until.js';

const NOBODY = 'redis://127.0.0.1:1';
const EXAMPLE = 'examples/any-storage.ts';
/** The environment of these tests names nothing that they do not set. */
const blank = { MCP_TS_STORAGE_TYPE: '', REDIS_URL: '', DATABASE_URL: '', MCP_TS_STORAGE_FILE: '', NODE_ENV: '' };

let server: RedisServer;
let admin: Redis;
beforeAll(async () => {
  server = await startRedisServer();
  admin = new Redis(server.url);
  await admin.call('ACL', 'SETUSER', 'app', 'on', '>sesame', 'allkeys', 'allchannels', 'allcommands');
});
afterAll(async () => {
  admin.disconnect();
  await server.stop();
});

const withUser = (password: string) => server.url.replace('redis://', `redis://app:${password}@`);

async function keep(store: SessionStore): Promise<string> {
  const sessionId = randomUUID();
  const now = Date.now();
  await store.storeSession(sessionId, { sessionId, initialized: false, createdAt: now, lastActivity: now });
  return sessionId;
}

describe('sessions are kept in Redis', () => {
  test.each<[string, (url: string) => [Record<string, string>, object]]>([
    ['the option redisUrl names one', redisUrl => [{}, { redisUrl }]],
    ['redisUrl names one, also where the environment names another', redisUrl => [{ REDIS_URL: NOBODY }, { redisUrl }]],
    ['REDIS_URL names one', REDIS_URL => [{ REDIS_URL, DATABASE_URL: 'postgres://127.0.0.1:1/x' }, {}]],
    ['MCP_TS_STORAGE_TYPE asks for it', REDIS_URL => [{ REDIS_URL, MCP_TS_STORAGE_TYPE: 'redis' }, {}]],
    ['it is production', REDIS_URL => [{ REDIS_URL, NODE_ENV: 'production' }, {}]]
  ])('when %s', async (_when, make) => {
    const [env, options] = make(server.url);
    const onLog = jest.fn();
    const store = await createSessionStore({ env, onLog, defaultTtl: 77, prefix: 'own:', ...options });
    expect(store).toMatchObject({ storage: 'redis', lockTimeoutMs: 30_000 });
    const sessionId = await keep(store);
    expect(await admin.ttl(`own:{${sessionId}}`)).toBe(77);
    expect(onLog).not.toHaveBeenCalled();
    await store.close();
  });

  test.each([
    ['/3', 3],
    ['?db=3', 3],
    ['/4?db=3', 4],
    ['/3?family=4', 3],
    ['', 0]
  ])('in the database that %j in the URL names', async (end, db) => {
    const store = await createSessionStore({ redisUrl: server.url + end, prefix: 'own:', env: {} });
    const sessionId = await keep(store);
    const reader = new Redis(server.url, { db });
    expect(await reader.exists(`own:{${sessionId}}`)).toBe(1);
    reader.disconnect();
    await store.close();
  });

  test('a URL with an unknown database is an error', async () => {
    const redisUrl = `${server.url}/99`;
    const failure = createSessionServices({ redisUrl, env: {} });
    await expect(failure).rejects.toThrow(BackendUnavailableError);
    await expect(failure).rejects.toThrow(/DB index is out of range.*check .*database/);
    expect(await isRedisAvailable(redisUrl)).toBe(false);
  });

  test('on a Cluster if the URL names one of its nodes', async () => {
    const cluster = await startRedisCluster();
    try {
      // It has no other database than 0.
      await expect(createSessionServices({ redisUrl: `${cluster.masters[1]!.url}/3`, env: {} })).rejects.toThrow(
        BackendUnavailableError
      );
      const services = await createSessionServices({ redisUrl: cluster.masters[1]!.url, env: {} });
      for (let i = 0; i < 20; i++) await keep(services.sessionStore);
      const heard = jest.fn();
      await services.sessionBus.subscribe('topic', heard);
      await services.sessionBus.publish('topic', 'x');
      await until('it is heard', () => heard.mock.calls.length > 0);
      await services.close();
    } finally {
      await cluster.stop();
    }
  });

  test('a Cluster that does not serve is an error, not a start without end', async () => {
    const cluster = await startRedisCluster();
    const nodes = cluster.masters.map(({ url }) => new Redis(url));
    try {
      // A node asks no other one about the slots, and the client asks any node whether the Cluster serves.
      for (const node of nodes) await node.call('CLUSTER', 'DELSLOTS', 1);
      const isDown = async (node: Redis) => /cluster_state:fail/.test(await node.cluster('INFO'));
      await until('it is down', async () => (await Promise.all(nodes.map(isDown))).every(Boolean));
      const failure = createSessionServices({ redisUrl: cluster.masters[0]!.url, connectTimeout: 500, env: {} });
      await expect(failure).rejects.toThrow(BackendUnavailableError);
      await expect(failure).rejects.toThrow(/^The Redis Cluster at redis:.* does not serve, .* doctor says why$/);
    } finally {
      nodes.forEach(node => node.disconnect());
      await cluster.stop();
    }
  });
});

test('a password that Redis refuses is an error, even if memory would do, and is not shown', async () => {
  const errors: unknown[] = [];
  for (const [env, options] of [
    [{ REDIS_URL: withUser('wrong-secret') }, {}],
    [{}, { redisUrl: withUser('wrong-secret') }]
  ]) {
    await createSessionServices({ env: env as Record<string, string>, ...options }).catch(error => errors.push(error));
  }
  expect(errors).toHaveLength(2);
  for (const error of errors) {
    expect(error).toBeInstanceOf(BackendUnavailableError);
    expect((error as Error).message).toMatch(/WRONGPASS.*check user, password/);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('wrong-secret');
  }
});

test('isRedisAvailable resolves to whether a Redis can be used by that URL', async () => {
  expect(await isRedisAvailable(server.url)).toBe(true);
  expect(await isRedisAvailable(withUser('sesame'))).toBe(true);
  expect(await isRedisAvailable(withUser('wrong'))).toBe(false);
  // The server has an IPv4 address alone.
  const byName = server.url.replace('127.0.0.1', 'localhost');
  expect(await isRedisAvailable(`${byName}?family=4`)).toBe(true);
  expect(await isRedisAvailable(`${byName}?family=6`)).toBe(false);
  server.pause();
  try {
    expect(await isRedisAvailable(server.url, { timeoutMs: 100 })).toBe(false);
  } finally {
    server.resume();
  }
});

test('close() ends every connection that was opened', async () => {
  await admin.call('ACL', 'SETUSER', 'closer', 'on', '>sesame', 'allkeys', 'allchannels', 'allcommands');
  const redisUrl = withUser('sesame').replace('app', 'closer');
  const services = await createSessionServices({ redisUrl, env: {} });
  await services.sessionBus.subscribe('topic', () => {});
  await keep(services.sessionStore);
  await until('the probe is gone', async () => (await connections()) === 2);
  await services.close();
  await services.close();
  await until('they are gone', async () => (await connections()) === 0);
});

test('pods with only REDIS_URL share their sessions, and exit after all is closed', async () => {
  const pods = await startPods(2, EXAMPLE, [], { env: { ...blank, PORT: '0', REDIS_URL: server.url } });
  const client = await connect(pods[0]!.origin);
  expect(await client.call('where')).toBe(`pod ${pods[0]!.pid}, redis`);
  const moved = await connect(pods[1]!.origin, client.sessionId);
  expect(await moved.call('where')).toBe(`pod ${pods[1]!.pid}, redis`);
  await Promise.all([client.close(), moved.close()]);
  expect(await Promise.all(pods.map(pod => pod.stop('SIGTERM')))).toEqual([0, 0]);
});

test('a pod without a backend serves from memory, warns, and exits by itself', async () => {
  const pod = await startPod(EXAMPLE, [], { env: { ...blank, PORT: '0', MCP_TS_STORAGE_TYPE: 'memory' } });
  const client = await connect(pod.origin);
  expect(await client.call('where')).toBe(`pod ${pod.pid}, memory`);
  await client.close();
  expect(await pod.stop('SIGTERM')).toBe(0);
  expect(pod.output()).toContain('sessions are kept in memory (MCP_TS_STORAGE_TYPE)');
});

test('a pod in production does not start without its Redis', async () => {
  const env = { ...blank, PORT: '0', NODE_ENV: 'production', REDIS_URL: 'redis://app:wrong-secret@127.0.0.1:1' };
  const failure = await startPod(EXAMPLE, [], { env }).catch((error: Error) => error.message);
  expect(failure).toContain('No Redis answers at redis://127.0.0.1:1');
  expect(failure).not.toContain('wrong-secret');
});

/** The environment of a pod for which some packages are not installed. */
function without(...packages: string[]): Record<string, string> {
  // The package imports its clients by names of its own.
  const names = packages.flatMap(name => [name, name === 'redis' ? '#node-redis' : `#${name}`]);
  const hide = `export async function resolve(name, context, next) {
    if (!${JSON.stringify(names)}.includes(name)) return next(name, context);
    throw Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' });
  }`;
  const data = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`;
  const register = `import { register } from 'node:module'; register(${JSON.stringify(data(hide))});`;
  return { ...blank, PORT: '0', REDIS_URL: server.url, NODE_OPTIONS: `--import ${data(register)}` };
}

test('if neither ioredis nor redis nor iovalkey is installed, a pod with REDIS_URL reports what to install', async () => {
  const env = without('ioredis', 'redis', 'iovalkey');
  await expect(startPod(EXAMPLE, [], { env })).rejects.toThrow(
    'npm install ioredis (or redis, or iovalkey: one of them is enough)'
  );
});

test('pods share their sessions if one has only the package redis installed, and the other only iovalkey', async () => {
  const pods = await Promise.all([
    startPod(EXAMPLE, [], { env: without('ioredis', 'iovalkey') }),
    startPod(EXAMPLE, [], { env: without('ioredis', 'redis') })
  ]);
  const client = await connect(pods[0].origin);
  expect(await client.call('where')).toBe(`pod ${pods[0].pid}, redis`);
  const moved = await connect(pods[1].origin, client.sessionId);
  expect(await moved.call('where')).toBe(`pod ${pods[1].pid}, redis`);
  await Promise.all([client.close(), moved.close()]);
  expect(await Promise.all(pods.map(pod => pod.stop('SIGTERM')))).toEqual([0, 0]);
});

async function connections(): Promise<number> {
  return [...String(await admin.client('LIST')).matchAll(/ user=closer /g)].length;
}

describe('sessions are kept in Postgres', () => {
  let postgres: PostgresServer;
  beforeAll(async () => void (postgres = await PostgresServer.create()));
  afterAll(() => postgres.destroy());

  test('if DATABASE_URL names it: pods create the tables, share their sessions and exit by themselves', async () => {
    const pods = await startPods(2, EXAMPLE, [], { env: { ...blank, PORT: '0', DATABASE_URL: postgres.url } });
    const client = await connect(pods[0]!.origin);
    expect(await client.call('where')).toBe(`pod ${pods[0]!.pid}, postgres`);
    const moved = await connect(pods[1]!.origin, client.sessionId);
    expect(await moved.call('where')).toBe(`pod ${pods[1]!.pid}, postgres`);
    await Promise.all([client.close(), moved.close()]);
    expect(await Promise.all(pods.map(pod => pod.stop('SIGTERM')))).toEqual([0, 0]);
  });

  test('an unreachable Postgres or a refused login is an error', async () => {
    const open = (DATABASE_URL: string) => createSessionServices({ env: { DATABASE_URL } });
    const failures = await Promise.all(
      ['postgres://app:wrong-secret@127.0.0.1:1/x', postgres.url.replace(/postgres$/, 'nowhere')].map(url =>
        open(url).catch((error: unknown) => error)
      )
    );
    for (const failure of failures) {
      expect(failure).toBeInstanceOf(BackendUnavailableError);
      expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('wrong-secret');
    }
    expect(String(failures[0])).toContain('No Postgres answers at postgres://127.0.0.1:1/x');
    expect(String(failures[1])).toMatch(/refuses the connection .*nowhere.*check user, password and database/);
    await expect(open('mysql://127.0.0.1/x')).rejects.toThrow(/DATABASE_URL/);
  });
});

test('a pod that keeps its sessions in files serves them after a restart', async () => {
  const path = await mkdtemp(join(tmpdir(), 'anypod-services-'));
  const env = { ...blank, PORT: '0', MCP_TS_STORAGE_FILE: join(path, 'sessions') };
  const before = await startPod(EXAMPLE, [], { env });
  const client = await connect(before.origin);
  expect(await client.call('where')).toBe(`pod ${before.pid}, file`);
  await before.stop('SIGKILL');
  const after = await startPod(EXAMPLE, [], { env });
  const again = await connect(after.origin, client.sessionId);
  expect(await again.call('where')).toBe(`pod ${after.pid}, file`);
  await again.close();
  expect(await after.stop('SIGTERM')).toBe(0);
  await rm(path, { recursive: true });
});
