import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import { Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import {
  InvalidOptionError,
  RedisSessionStore,
  SessionRecordUnreadableError,
  type RedisClient,
  type SessionData
} from 'mcp-sdk-anypod/server';
import { sessionStoreContract } from 'mcp-sdk-anypod/testing';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { twoRedisStores } from '../../support/stores/twoRedisStores.js';

let server: RedisServer;
beforeAll(async () => void (server = await startRedisServer()));
afterAll(() => server.stop());

const clients: [string, () => RedisClient & { disconnect(): void }][] = [
  ['ioredis 6', () => new Redis(server.url)],
  ['ioredis 5', () => new Redis5(server.url)],
  [
    'a client with a key prefix and automatic pipelines',
    () => new Redis(server.url, { keyPrefix: 'app:', enableAutoPipelining: true })
  ]
];

for (const [name, connect] of clients) {
  sessionStoreContract({
    describe,
    it,
    name: `RedisSessionStore on ${name}`,
    optionalMethods: ['touchSession', 'refreshSessions', 'getSessionOwner', 'patchSession', 'listSessionIds'],
    makeTwo: twoRedisStores(connect)
  });
}

describe('RedisSessionStore', () => {
  let client: Redis;
  let prefix: string;
  let store: RedisSessionStore;

  beforeAll(() => void (client = new Redis(server.url)));
  afterAll(() => client.quit());
  beforeEach(() => {
    prefix = `${randomUUID()}:`;
    store = new RedisSessionStore({ redis: client, keyPrefix: prefix, ttlSeconds: 100 });
  });

  // Promise: L8
  test('every key has a time to live after every operation', async () => {
    await store.storeSession('a', record('a'));
    expect(await timesToLive()).toEqual({ '{a}': 100, '{a}:record': 200, 'sessions:#': 200 });
    await store.patchSession('a', { subscribe: 'x', logLevel: 'info' });
    await store.touchSession('a');
    const all = { '{a}': 100, '{a}:record': 200, 'sessions:#': 200, 'subscribed:x': 200 };
    expect(await timesToLive()).toEqual(all);

    await store.storeSession('gone', record('gone'));
    await client.del(`${prefix}{gone}`, `${prefix}{gone}:record`);
    await store.updateSessionActivity('gone');
    await store.patchSession('gone', { subscribe: 'x' });
    await store.touchSession('gone');
    expect(await timesToLive()).toEqual(all);

    await store.deleteSession('a');
    await store.deleteSession('never was');
    expect(await timesToLive()).toEqual({ '{a}:deleted': 60, 'sessions:#': 200 });
  });

  test.each<[string, unknown]>([
    ['data', null],
    ['data.initialized', { toolName: 'x' }],
    ['data.createdAt', { ...record('a'), createdAt: NaN }],
    ['data.lastActivity', { ...record('a'), lastActivity: '1' }],
    ['data.metadata', { ...record('a'), metadata: [] }]
  ])('a record with an invalid %s is refused, and nothing is stored: %j', async (option, data) => {
    const stored = store.storeSession('a', data as SessionData);
    await expect(stored).rejects.toThrow(InvalidOptionError);
    await expect(stored).rejects.toMatchObject({ option });
    expect(await timesToLive()).toEqual({});
  });

  test('an error that onLog throws fails no call', async () => {
    const onLog = () => {
      throw new Error('of the application');
    };
    const loud = new RedisSessionStore({ redis: client, keyPrefix: prefix, onLog });
    await loud.storeSession('a', record('a'));
    expect(await loud.deleteSession('a')).toBe(true);
  });

  test('a session that expires between a read and a patch leaves no key', async () => {
    await store.storeSession('a', record('a'));
    await client.del(`${prefix}{a}`);
    expect(await store.patchSession('a', { logLevel: 'info' })).toBe(false);
    expect(await client.hexists(`${prefix}{a}:record`, 'l')).toBe(0);
    await store.storeSession('a', record('a'));
    expect(await store.touchSession('a')).not.toBeNull();
  });

  test('a patch of a session whose record Redis evicted leaves no key', async () => {
    await store.storeSession('a', record('a'));
    await client.del(`${prefix}{a}:record`);
    expect(await store.patchSession('a', { logLevel: 'info' })).toBe(false);
    expect(await client.exists(`${prefix}{a}:record`)).toBe(0);
  });

  test('works after Redis has forgotten its scripts', async () => {
    await store.storeSession('a', record('a'));
    await client.script('FLUSH');
    expect(await store.patchSession('a', { logLevel: 'info' })).toBe(true);
    await store.deleteSession('a');
    expect(await store.sessionExists('a')).toBe(false);
  });

  test.each(['{not json', '"text"', '[1]', '7', 'null'])(
    'reports that metadata %j is unreadable, and keeps it',
    async text => {
      await store.storeSession('a', record('a'));
      await client.hset(`${prefix}{a}:record`, 'm', text);
      await expect(store.touchSession('a')).rejects.toThrow(SessionRecordUnreadableError);
      await expect(store.getSession('a')).rejects.toThrow(SessionRecordUnreadableError);
      expect(await client.hget(`${prefix}{a}:record`, 'm')).toBe(text);
    }
  );

  test('throws if keys hold another type, and does not report the session as missing', async () => {
    await client.set(`${prefix}{a}`, '1');
    await client.set(`${prefix}{a}:record`, 'a string');
    await expect(store.touchSession('a')).rejects.toThrow('WRONGTYPE');
    await expect(store.getSession('a')).rejects.toThrow('WRONGTYPE');
    await expect(store.patchSession('a', { logLevel: 'info' })).rejects.toThrow('WRONGTYPE');
  });

  test('a Redis store error contains nothing of the session', async () => {
    await client.mset(`${prefix}{secret}`, '1', `${prefix}{secret}:record`, 'a string');
    const calls = [
      () => store.touchSession('secret'),
      () => store.getSession('secret'),
      () => store.updateSessionActivity('secret'),
      () => store.patchSession('secret', { subscribe: 'file:///secret' })
    ];
    for (const call of calls) {
      const error: unknown = await call().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(Error);
      expect(inspect(error, { depth: 9 })).not.toContain('secret');
    }
  });

  test('a full Redis refuses new sessions and keeps the existing ones', async () => {
    await store.storeSession('old', record('old'));
    await store.patchSession('old', { subscribe: 'x' });
    await client.config('SET', 'maxmemory', '1');
    try {
      await expect(store.storeSession('new', record('new'))).rejects.toThrow('OOM');
      await expect(store.patchSession('old', { logLevel: 'info' })).rejects.toThrow('OOM');
      expect(await store.touchSession('old')).not.toBeNull();
      await store.updateSessionActivity('old');
      expect(await store.patchSession('old', { unsubscribe: 'x' })).toBe(true);
      expect(await timesToLive()).toEqual({ '{old}': 100, '{old}:record': 200, 'sessions:#': 200 });
      await store.deleteSession('old');
      expect(await timesToLive()).toEqual({ '{old}:deleted': 60 });
    } finally {
      await client.config('SET', 'maxmemory', '0');
    }
  });

  test('counts a session as missing when Redis evicted its record, and warns', async () => {
    const onLog = jest.fn();
    store = new RedisSessionStore({ redis: client, keyPrefix: prefix, onLog });
    await store.storeSession('a', record('a'));
    const known = (await store.getSession('a'))!;
    await client.del(`${prefix}{a}:record`);
    expect(await store.touchSession('a', known)).toBeNull();
    expect(await store.touchSession('a')).toBeNull();
    expect(onLog).toHaveBeenCalledWith('warn', expect.stringContaining('noeviction'));
  });

  test('logs no session id', async () => {
    const onLog = jest.fn();
    store = new RedisSessionStore({ redis: client, keyPrefix: prefix, onLog });
    await store.storeSession('secret-id', record('secret-id'));
    await store.deleteSession('secret-id');
    expect(onLog.mock.calls).toEqual([
      ['info', 'session created'],
      ['info', 'session deleted']
    ]);
  });

  test('keeps 1000 subscriptions with long names apart', async () => {
    const uris = Array.from({ length: 1000 }, (_, i) => `file:///${'x'.repeat(200)}/${i}`);
    const data = record('a');
    await store.storeSession('a', { ...data, metadata: { mcp: { subscriptions: uris.slice(0, 500) } } });
    await Promise.all(uris.slice(500).map(uri => store.patchSession('a', { subscribe: uri })));
    expect(new Set((await store.getSession('a'))?.metadata?.mcp?.subscriptions)).toEqual(new Set(uris));
  });

  async function timesToLive(): Promise<Record<string, number>> {
    const keys = await client.keys(`${prefix}*`);
    const times = await Promise.all(keys.map(async key => [key.slice(prefix.length), await client.ttl(key)] as const));
    // Shares of the index of all sessions are named by their numbers.
    return Object.fromEntries(times.map(([key, ttl]) => [key.replace(/^(sessions:).*/, '$1#'), ttl] as const).sort());
  }
});

function record(sessionId: string): SessionData {
  const now = Date.now();
  return { sessionId, initialized: false, createdAt: now, lastActivity: now };
}
