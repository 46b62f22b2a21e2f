import { randomUUID } from 'node:crypto';
import { Cluster, Redis } from 'ioredis';
import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import { sessionStoreContract } from 'mcp-sdk-anypod/testing';
import { RawClient } from '../../support/clients/rawClient.js';
import type { RedisServer } from '../../support/servers/redisServer.js';
import { startRedisCluster, type RedisCluster } from '../../support/servers/redisCluster.js';
import { twoRedisStores } from '../../support/stores/twoRedisStores.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

let cluster: RedisCluster;
beforeAll(async () => void (cluster = await startRedisCluster()));
afterAll(() => cluster.stop());

sessionStoreContract({
  describe,
  it,
  name: 'RedisSessionStore on a cluster of three masters',
  optionalMethods: ['touchSession', 'refreshSessions', 'getSessionOwner', 'patchSession', 'listSessionIds'],
  makeTwo: twoRedisStores(() => new Cluster([...cluster.nodes]))
});

test('the keys of a session share a slot, and sessions are spread over all masters', async () => {
  const client = new Cluster([...cluster.nodes]);
  const store = new RedisSessionStore({ redis: client, keyPrefix: 'slots:' });
  const odd = ['{}', '}{', 'a}b', '{a}:record', '%7B'];
  const sessionIds = [...odd, ...Array.from({ length: 40 }, () => randomUUID())];
  const now = Date.now();
  for (const sessionId of sessionIds) {
    await store.storeSession(sessionId, { sessionId, initialized: false, createdAt: now, lastActivity: now });
  }
  const slotsOf = new Map<string, Set<number>>();
  for (const master of cluster.masters) {
    const node = new Redis(master.url);
    const keys = await node.keys('slots:{*');
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) {
      const session = key.replace(/:record$/, '');
      const slots = slotsOf.get(session) ?? new Set();
      slotsOf.set(session, slots.add(await node.cluster('KEYSLOT', key)));
    }
    node.disconnect();
  }
  expect(slotsOf.size).toBe(sessionIds.length);
  for (const slots of slotsOf.values()) expect(slots.size).toBe(1);
  client.disconnect();
});

/** The first of the keys made of 0, 1, 2, ... that a master holds. */
async function firstKeptBy<T>(master: RedisServer, make: (i: number) => T, keyOf: (made: T) => string): Promise<T> {
  const node = new Redis(master.url);
  const isKept = (key: string) =>
    node.exists(key).then(
      () => true,
      (error: Error) => !error.message.startsWith('MOVED')
    );
  for (let i = 0; ; i++) {
    const made = make(i);
    if (await isKept(keyOf(made))) {
      node.disconnect();
      return made;
    }
  }
}

test('a new session waits for its place in an index, but not for long', async () => {
  const clients = [new Cluster([...cluster.nodes]), new Cluster([...cluster.nodes])] as const;
  const warnings: string[] = [];
  const options = {
    keyPrefix: 'index:',
    onLog: (level: string, text: string) => level === 'warn' && warnings.push(text)
  };
  const store = new RedisSessionStore({ redis: clients[0], ...options });
  const [ofIndex, ofSession] = cluster.masters as [RedisServer, RedisServer];
  const principal = await firstKeptBy(
    ofIndex,
    i => `principal-${i}`,
    name => `index:principal:${name}`
  );
  const sessionId = await firstKeptBy(
    ofSession,
    i => `session-${i}`,
    id => `index:{${id}}`
  );
  const now = Date.now();
  const record = { sessionId, initialized: true, createdAt: now, lastActivity: now, metadata: { mcp: { principal } } };

  ofIndex.pause();
  try {
    let isStored = false;
    const stored = store.storeSession(sessionId, record).then(() => (isStored = true));
    await until('the session is there', () => store.sessionExists(sessionId));
    // It waits still, or has given up by now and said so.
    if (isStored) expect(warnings).toHaveLength(1);
    await stored;
    expect(warnings).toEqual([expect.stringContaining('an index of sessions was not written')]);
  } finally {
    ofIndex.resume();
  }
  const other = new RedisSessionStore({ redis: clients[1], ...options });
  await until('the session is listed', async () => {
    for await (const ids of other.listSessionIds({ principal })) if (ids.includes(sessionId)) return true;
    return false;
  });
  clients.forEach(client => client.disconnect());
});

test('while one master is paused, its sessions get 503 and other sessions are served', async () => {
  const redis = new Cluster([...cluster.nodes]);
  const pod = await LocalPod.start({
    sessionStore: new RedisSessionStore({ redis, keyPrefix: '' }),
    storeTimeoutMs: 400
  });
  const [stuck, ...others] = cluster.masters as [RedisServer, ...RedisServer[]];
  const keysOf = async (master: RedisServer) => {
    const node = new Redis(master.url);
    const keys = await node.keys('{*}');
    node.disconnect();
    return keys;
  };
  const clients = await Promise.all(Array.from({ length: 30 }, () => new RawClient().open(pod.url)));
  const onStuck = new Set(await keysOf(stuck));
  const elsewhere = new Set((await Promise.all(others.map(keysOf))).flat());
  expect(onStuck.size * elsewhere.size).toBeGreaterThan(0);
  const callAll = () => Promise.all(clients.map(client => client.callTool(pod.url, 'echo', { text: 'x' })));

  stuck.pause();
  try {
    const expected = clients.map(({ sessionId }) => (onStuck.has(`{${sessionId}}`) ? 503 : 'x'));
    expect(await callAll()).toEqual(expected);
  } finally {
    stuck.resume();
  }
  await until('all are served again', async () => new Set(await callAll()).size === 1);
  expect(await callAll()).toEqual(clients.map(() => 'x'));
  await pod.stop();
  redis.disconnect();
});
