import { InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { sessionStoreContract } from 'mcp-sdk-anypod/testing';

sessionStoreContract({
  describe,
  it,
  name: 'InMemorySessionStore',
  optionalMethods: ['touchSession', 'getSessionOwner', 'patchSession', 'listSessionIds'],
  makeTwo: async ({ ttlSeconds }) => {
    let ahead = 0;
    const store = new InMemorySessionStore({ ttlSeconds, now: () => Date.now() + ahead });
    return { first: store, second: store, elapse: async ms => void (ahead += ms) };
  }
});

describe('InMemorySessionStore', () => {
  const record = (sessionId: string) => ({ sessionId, initialized: false, createdAt: 0, lastActivity: Date.now() });

  test('over its limit it drops the session that was idle longest', async () => {
    const store = new InMemorySessionStore({ maxSessions: 2 });
    await store.storeSession('a', record('a'));
    await store.storeSession('b', record('b'));
    await store.touchSession('a');
    await store.storeSession('c', record('c'));
    expect(await Promise.all(['a', 'b', 'c'].map(id => store.sessionExists(id)))).toEqual([true, false, true]);
  });

  test('changing a record that was read changes nothing in the store', async () => {
    const store = new InMemorySessionStore();
    const data = { ...record('a'), metadata: { list: [1] } };
    await store.storeSession('a', data);
    data.metadata.list.push(2);
    const read = await store.getSession('a');
    (read!.metadata!.list as number[]).push(3);
    expect((await store.getSession('a'))?.metadata).toEqual({ list: [1] });
  });

  test('the id of a deleted session is refused for a minute and free afterwards', async () => {
    let now = Date.now();
    const store = new InMemorySessionStore({ now: () => now });
    await store.storeSession('a', record('a'));
    await store.deleteSession('a');
    now += 59_999;
    await expect(store.storeSession('a', record('a'))).rejects.toThrow('deleted a moment ago');
    now += 1;
    await store.storeSession('a', record('a'));
    expect(await store.sessionExists('a')).toBe(true);
  });

  test('a session with the id of an expired one is not taken for it', async () => {
    let now = Date.now();
    const store = new InMemorySessionStore({ ttlSeconds: 100, now: () => now });
    await store.storeSession('a', { ...record('a'), metadata: { mcp: { principal: 'ada' } } });
    const held = await store.touchSession('a');
    now += 101_000;
    await store.storeSession('a', { ...record('a'), metadata: { mcp: { principal: 'bob' } } });
    expect((await store.touchSession('a', held!))?.metadata?.mcp?.principal).toBe('bob');
  });
});
