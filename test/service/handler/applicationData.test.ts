import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMcpHandler, createSessionServices, McpServer, sessionState } from 'mcp-sdk-anypod/server';
import {
  type ApplicationSessionStore,
  createSessionStore,
  isRedisAvailable,
  registerRedisBackedServices
} from 'mcp-sdk-anypod/session-store';
import { useRedisAndPostgres } from '../../support/servers/useRedisAndPostgres.js';

const NOBODY = 'redis://127.0.0.1:1';
const servers = useRedisAndPostgres();
let folder: string;

beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'anypod-data-'))));
afterAll(() => rm(folder, { recursive: true }));

const backends: [string, () => Record<string, string>][] = [
  ['redis', () => ({ REDIS_URL: servers.redis.url })],
  ['postgres', () => ({ DATABASE_URL: servers.postgres.url })],
  ['file', () => ({ MCP_TS_STORAGE_FILE: join(folder, 'sessions') })]
];

describe.each(backends)('in %s', (storage, env) => {
  let stores: ApplicationSessionStore[];
  beforeAll(async () => {
    stores = [await createSessionStore({ env: env() }), await createSessionStore({ env: env() })];
  });
  afterAll(() => Promise.all(stores.map(store => store.disconnect())));

  test('a value is shared by all stores, and can be stored again after it was deleted', async () => {
    const [first, second] = stores as [ApplicationSessionStore, ApplicationSessionStore];
    expect(first.storage).toBe(storage);
    await first.setSession('a', { n: 1 });
    await second.setSession('a', { n: 2 });
    expect(await first.getSession('a')).toEqual({ n: 2 });
    expect(await second.getSessions()).toEqual(['a']);
    await first.deleteSession('a');
    expect(await second.getSession('a')).toBeNull();
    expect(await second.getSessions()).toEqual([]);
    await second.setSession('a', { n: 3 });
    expect(await first.getSession('a')).toEqual({ n: 3 });
  });

  test('a lock holds between stores', async () => {
    const [first, second] = stores as [ApplicationSessionStore, ApplicationSessionStore];
    const token = await first.acquireLock('lock');
    expect(await second.acquireLock('lock')).toBeNull();
    expect(await first.releaseLock('lock', token!)).toBe(true);
    expect(await second.acquireLock('lock')).not.toBeNull();
  });

  test('the data is separate from the session of the transport with the same id', async () => {
    const services = await createSessionServices({ env: env() });
    const [store] = stores as [ApplicationSessionStore];
    const handler = createMcpHandler(() => {
      const server = new McpServer({ name: 'shop', version: '1.0.0' });
      server.registerTool('visit', {}, async extra => {
        await store.setSession(extra.sessionId!, { of: 'application' });
        const state = await sessionState<number>(extra).update(visits => (visits ?? 0) + 1);
        return {
          content: [{ type: 'text', text: `${state} ${JSON.stringify(await store.getSession(extra.sessionId!))}` }]
        };
      });
      return server;
    }, services);
    const post = (body: object, headers = {}) =>
      handler.fetch(
        new Request('http://localhost/mcp', {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers },
          body: JSON.stringify({ jsonrpc: '2.0', ...body })
        })
      );
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
    const opened = await post({ id: 1, method: 'initialize', params });
    const session = { 'mcp-session-id': opened.headers.get('mcp-session-id')! };
    for (const visits of [1, 2]) {
      const answer = await post({ id: 2, method: 'tools/call', params: { name: 'visit', arguments: {} } }, session);
      expect(await answer.text()).toContain(`${visits} {\\"of\\":\\"application\\"}`);
    }
    const listed: string[] = [];
    for await (const ids of services.sessionStore.listSessionIds!()) listed.push(...ids);
    expect(listed).toEqual([session['mcp-session-id']]);
    await handler.close({ drainMs: 0 });
    await services.close();
  });
});

test('a value lives for defaultTtl seconds after it was stored, under the prefix', async () => {
  const store = await createSessionStore({ redisUrl: servers.redis.url, prefix: 'own:', defaultTtl: 77, env: {} });
  await store.setSession('b', {});
  expect(await servers.client.ttl('own:data:{b}')).toBe(77);
  await servers.client.expire('own:data:{b}', 5);
  await store.getSession('b');
  expect(await servers.client.ttl('own:data:{b}')).toBe(5);
  await store.setSession('b', {});
  expect(await servers.client.ttl('own:data:{b}')).toBe(77);
  await store.disconnect();
});

test('in Postgres two prefixes are two places', async () => {
  const open = (prefix: string) => createSessionStore({ prefix, env: { DATABASE_URL: servers.postgres.url } });
  const stores = [await open('x:'), await open('y:')];
  await stores[0]!.setSession('a', { of: 'x' });
  expect(await stores[1]!.getSession('a')).toBeNull();
  expect(await stores[1]!.getSessions()).toEqual([]);
  expect(await stores[0]!.getSessions()).toEqual(['a']);
  await Promise.all(stores.map(store => store.disconnect()));
});

test('files of the data are beside the directory of the sessions', async () => {
  expect((await readdir(folder)).sort()).toEqual(['sessions', 'sessions-data']);
});

test('without an answer at redisUrl the data is kept in memory, with a warning', async () => {
  const onLog = jest.fn();
  const store = await createSessionStore({ redisUrl: NOBODY, env: {}, onLog });
  expect(store.storage).toBe('memory');
  expect(onLog.mock.calls).toEqual([['warn', expect.stringContaining('memory of this process')]]);
  await store.disconnect();
});

test('isRedisAvailable asks at REDIS_URL if it gets no URL', async () => {
  const before = process.env.REDIS_URL;
  try {
    process.env.REDIS_URL = servers.redis.url;
    expect(await isRedisAvailable()).toBe(true);
    process.env.REDIS_URL = NOBODY;
    expect(await isRedisAvailable()).toBe(false);
  } finally {
    if (before === undefined) delete process.env.REDIS_URL;
    else process.env.REDIS_URL = before;
  }
});

test('registerRedisBackedServices opens one connection for all servers', async () => {
  const redisUrl = servers.redis.url;
  const registered = await Promise.all(
    [1, 2, 3].map(() =>
      registerRedisBackedServices(new McpServer({ name: 'a', version: '1' }), { redisUrl, prefix: 'reg:' })
    )
  );
  const [{ sessionStore }] = registered as [(typeof registered)[0]];
  await sessionStore.setSession('a', { n: 1 });
  expect(sessionStore.storage).toBe('redis');
  expect(new Set(registered.map(each => each.sessionStore)).size).toBe(1);
  await sessionStore.disconnect();
  const again = await registerRedisBackedServices(new McpServer({ name: 'a', version: '1' }), {
    redisUrl,
    prefix: 'reg:'
  });
  expect(await again.sessionStore.getSession('a')).toEqual({ n: 1 });
  await again.sessionStore.disconnect();
});
