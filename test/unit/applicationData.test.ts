import { InMemorySessionStore, InvalidOptionError, McpServer } from 'mcp-sdk-anypod/server';
import {
  createMemorySessionStore,
  createSessionStore,
  registerRedisBackedServices
} from 'mcp-sdk-anypod/session-store';

test('a value in memory is stored, replaced, read and deleted, and can be stored again at once', async () => {
  const store = createMemorySessionStore({ prefix: 'dev:', defaultTtl: 3600 });
  expect(await store.getSession('a')).toBeNull();
  await store.setSession('a', { data: 'test' });
  await store.setSession('a', { data: 'newer' });
  expect(await store.getSession('a')).toEqual({ data: 'newer' });
  await store.deleteSession('a');
  expect(await store.getSession('a')).toBeNull();
  await store.setSession('a', [1]);
  expect(await store.getSession<number[]>('a')).toEqual([1]);
  await store.clearSession('a');
  expect(await store.getSessions()).toEqual([]);
  await store.disconnect();
  await store.disconnect();
});

test('of several callers that create a value at the same time, all get the value of one', async () => {
  const store = createMemorySessionStore();
  const values = await Promise.all([1, 2, 3].map(n => store.createSessionIfNotExists('a', { n })));
  expect(new Set(values.map(({ n }) => n)).size).toBe(1);
  expect(await store.getSession('a')).toEqual(values[0]);
  await store.deleteSession('a');
  expect(await store.createSessionIfNotExists('a', { n: 4 })).toEqual({ n: 4 });
});

test('an id may be any text, and is listed as it was given', async () => {
  const store = createMemorySessionStore({ prefix: 'p:' });
  const ids = ['user:józef', 'a b', '100%', 'a/b', '{x}'];
  for (const id of ids) await store.setSession(id, { id });
  for (const id of ids) expect(await store.getSession(id)).toEqual({ id });
  expect((await store.getSessions()).sort()).toEqual(ids.sort());
});

test('a lock has one holder, and ends when it is released or its time is over', async () => {
  const store = createMemorySessionStore({ lockTimeout: 10_000 });
  const token = await store.acquireLock('a');
  expect(token).toEqual(expect.any(String));
  expect(await store.acquireLock('a')).toBeNull();
  expect(await store.acquireLock('b')).not.toBeNull();
  expect(await store.releaseLock('a', 'another token')).toBe(false);
  expect(await store.releaseLock('a', token!)).toBe(true);
  expect(await store.releaseLock('a', token!)).toBe(false);
  expect(await store.acquireLock('a')).not.toBeNull();
});

test.each<[string, (store: ReturnType<typeof createMemorySessionStore>) => Promise<unknown>]>([
  ['sessionId', store => store.setSession('', {})],
  ['sessionId', store => store.getSession(undefined as never)],
  ['sessionId', store => store.deleteSession('x'.repeat(257))],
  ['sessionId', store => store.getSession('\ud800')],
  ['data', store => store.setSession('a', undefined)],
  ['data', store => store.setSession('a', { n: 1n })],
  ['ttl', store => (store.setSession as (...args: unknown[]) => Promise<void>)('a', {}, 60)],
  ['timeoutMs', store => store.acquireLock('a', 0)],
  ['defaultTtl', () => createSessionStore({ preferMemory: true, defaultTtl: 0 })],
  ['verbose', () => createSessionStore({ preferMemory: true, verbose: 'yes' as never })],
  ['server', () => registerRedisBackedServices({}, { forceMemorySessionStore: true })],
  [
    'forceMemorySessionStore',
    () =>
      registerRedisBackedServices(new McpServer({ name: 'a', version: '1' }), {
        forceMemorySessionStore: 'yes' as never
      })
  ]
])('a wrong %s is refused by its name', async (name, call) => {
  const called = call(createMemorySessionStore());
  await expect(called).rejects.toThrow(InvalidOptionError);
  await expect(called).rejects.toMatchObject({ option: name });
});

test('servers that register with the same options share one store until it is disconnected', async () => {
  const register = (options: object) =>
    registerRedisBackedServices(new McpServer({ name: 'a', version: '1' }), {
      forceMemorySessionStore: true,
      ...options
    });
  const [first, second] = await Promise.all([register({ prefix: 'a:' }), register({ prefix: 'a:' })]);
  expect(second.sessionStore).toBe(first.sessionStore);
  expect((await register({ prefix: 'b:' })).sessionStore).not.toBe(first.sessionStore);
  await first.sessionStore.disconnect();
  expect((await register({ prefix: 'a:' })).sessionStore).not.toBe(first.sessionStore);
});

test("application data given to the transport's store is refused by the name of the missing field", async () => {
  const store = new InMemorySessionStore();
  const storing = store.storeSession('a', { toolName: 'my-tool' } as never);
  await expect(storing).rejects.toThrow('Invalid option data.initialized: got undefined, expected true or false');
  const withoutTime = store.storeSession('a', { initialized: true, createdAt: NaN, lastActivity: 1 } as never);
  await expect(withoutTime).rejects.toThrow('Invalid option data.createdAt: got NaN');
  expect(await store.getSession('a')).toBeNull();
});
