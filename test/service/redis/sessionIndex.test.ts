import { RedisSessionStore, type SessionData } from 'mcp-sdk-anypod/server';
import { useRedis } from '../../support/servers/useRedis.js';
import { until } from '../../support/until.js';

const redis = useRedis({ enableAutoPipelining: true });

function record(sessionId: string, subscriptions: string[]): SessionData {
  const now = Date.now();
  return { sessionId, initialized: true, createdAt: now, lastActivity: now, metadata: { mcp: { subscriptions } } };
}

async function idsOf(store: RedisSessionStore, subscribedTo?: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const batch of store.listSessionIds(subscribedTo === undefined ? {} : { subscribedTo }))
    ids.push(...batch);
  return ids.sort();
}

test('the few subscriptions to one resource are found without reading 100,000 others', async () => {
  const store = new RedisSessionStore({ redis: redis.client, keyPrefix: 'many:' });
  const uris = (session: number) => Array.from({ length: 100 }, (_, index) => `file:///${session}/${index}`);
  for (let first = 0; first < 1000; first += 50) {
    const sessions = Array.from({ length: 50 }, (_, index) => first + index);
    await Promise.all(sessions.map(each => store.storeSession(`s${each}`, record(`s${each}`, uris(each)))));
  }
  for (const id of ['s7', 's70', 's700']) await store.patchSession(id, { subscribe: 'file:///shared' });
  await redis.client.config('RESETSTAT');
  expect(await idsOf(store, 'file:///shared')).toEqual(['s7', 's70', 's700']);
  const commands = [...(await redis.client.info('commandstats')).matchAll(/cmdstat_([^:]+):calls=(\d+)/g)]
    .map(([, name, calls]) => [name, Number(calls)] as const)
    .filter(([name]) => !name?.startsWith('config') && name !== 'info');
  expect(Object.fromEntries(commands)).toEqual({ zscan: 1, exists: 3 });
  expect(await idsOf(store)).toHaveLength(1000);
});

test('sessions that were deleted or have expired are in no list', async () => {
  const store = new RedisSessionStore({ redis: redis.client, keyPrefix: 'gone:', ttlSeconds: 1 });
  for (const id of ['deleted', 'expires', 'stays']) await store.storeSession(id, record(id, ['file:///x']));
  await store.deleteSession('deleted');
  expect(await idsOf(store, 'file:///x')).toEqual(['expires', 'stays']);
  const deadline = Date.now() + 5000;
  while (await store.sessionExists('expires')) {
    expect(Date.now()).toBeLessThan(deadline);
    await store.touchSession('stays', (await store.getSession('stays')) ?? undefined);
  }
  expect(await idsOf(store, 'file:///x')).toEqual(['stays']);
  expect(await idsOf(store)).toEqual(['stays']);
});

test('an index that is never read drops expired sessions', async () => {
  const store = new RedisSessionStore({ redis: redis.client, keyPrefix: 'unread:', ttlSeconds: 1 });
  const places = async (id: string) => {
    const keys = (await redis.client.keys('unread:s*')).sort();
    return (await Promise.all(keys.map(key => redis.client.zscore(key, id)))).filter(score => score !== null).length;
  };
  await store.storeSession('first', record('first', ['file:///z']));
  expect(await places('first')).toBe(2);
  let next = 0;
  const othersCame = async () => {
    // So many that some fall into its share of the index of all sessions.
    const ids = Array.from({ length: 5000 }, () => `later${next++}`);
    await Promise.all(ids.map(id => store.storeSession(id, record(id, []))));
    await store.patchSession(ids[0]!, { subscribe: 'file:///z' });
    return (await places('first')) === 0 && (await redis.client.exists('unread:subscribed:file:///z')) === 1;
  };
  await until('the others have taken its places', othersCame, 50_000);
});

test('the keys of the indexes end with the last session in them', async () => {
  const store = new RedisSessionStore({ redis: redis.client, keyPrefix: 'ends:', ttlSeconds: 60 });
  await store.storeSession('one', record('one', ['file:///y']));
  const keys = await redis.client.keys('ends:s*');
  expect(keys).toHaveLength(2);
  for (const key of keys) {
    expect(await redis.client.ttl(key)).toBeGreaterThan(60);
    expect(await redis.client.ttl(key)).toBeLessThanOrEqual(120);
  }
});
