import { Redis } from 'ioredis';
import { RedisSessionStore, SessionExistsError, type SessionData, type SessionStore } from 'mcp-sdk-anypod/server';
import { SimStore } from '../../simulation/simStore.js';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { until } from '../../support/until.js';

const TTL_SECONDS = 100;
/** What pods do with sessions before a failover, by session. */
type Act = (store: Required<SessionStore>, id: string) => Promise<unknown>;

const create: Act = (store, id) => store.storeSession(id, recordOf(id));
const patch: Act = (store, id) => store.patchSession(id, { logLevel: 'error' });
const remove: Act = (store, id) => store.deleteSession(id);
const nothing: Act = async () => {};

/** By session, what the replica has received before the failover, and what it has not. */
const histories: Record<string, { kept: Act[]; lost: Act[] }> = {
  'a session that stays': { kept: [create, patch], lost: [] },
  'a session whose creation is lost': { kept: [], lost: [create, patch] },
  'a session whose change is lost': { kept: [create], lost: [patch] },
  'a session whose deletion is lost': { kept: [create, patch], lost: [remove] },
  'a session that was deleted before': { kept: [create, remove], lost: [] },
  'a session that was never there': { kept: [], lost: [nothing] }
};

let primary: RedisServer;
let replica: RedisServer;
let clients: Redis[];

beforeEach(async () => {
  primary = await startRedisServer();
  replica = await startRedisServer({ args: ['--replicaof', '127.0.0.1', String(primary.port)] });
  clients = [new Redis(primary.url), new Redis(replica.url)];
  clients[0]!.on('error', () => {});
});

afterEach(async () => {
  clients.forEach(client => client.disconnect());
  await Promise.all([primary.stop(), replica.stop()]);
});

test('a failover of Redis that loses writes leaves what the failover of the simulated store leaves', async () => {
  let now = 0;
  let raised = 0;
  const simulated = new SimStore(
    TTL_SECONDS,
    () => now,
    () => ++raised * 1000
  );
  const [onPrimary, onReplica] = clients.map(redis => new RedisSessionStore({ redis, ttlSeconds: TTL_SECONDS }));
  await until('the replica follows', async () => (await clients[1]!.info('replication')).includes('link_status:up'));

  for (const [id, { kept }] of Object.entries(histories).map(named)) {
    for (const act of kept) {
      await act(onPrimary!, id);
      await act(simulated as unknown as Required<SessionStore>, id);
    }
  }
  await clients[0]!.wait(1, 5000);
  now += 1000;
  // The link of the replica is cut: it is promoted, with what it has.
  await clients[1]!.call('replicaof', '127.0.0.1', '1');
  const held = new Map<string, [SessionData | null, SessionData | null]>();
  for (const [id, { lost }] of Object.entries(histories).map(named)) {
    for (const act of lost) {
      await act(onPrimary!, id);
      await act(simulated as unknown as Required<SessionStore>, id);
    }
    held.set(id, [await onPrimary!.getSession(id), await simulated.getSession(id)]);
  }
  await primary.kill();
  await clients[1]!.call('replicaof', 'no', 'one');
  simulated.failOver(500);

  const found: Record<string, unknown> = {};
  for (const [id, , name] of Object.entries(histories).map(named)) {
    const [real, expected] = await Promise.all(
      [onReplica!, simulated].map((store, index) => seenAfterwards(store, id, held.get(id)![index]!))
    );
    expect({ name, ...real }).toEqual({ name, ...expected });
    found[name] = real!.exists;
  }
  expect(found).toEqual({
    'a session that stays': true,
    'a session whose creation is lost': false,
    'a session whose change is lost': true,
    'a session whose deletion is lost': true,
    'a session that was deleted before': false,
    'a session that was never there': false
  });
});

/** All that a pod can see of a session, and do with it. @param held - what it knew before */
async function seenAfterwards(store: SessionStore, id: string, held: SessionData | null): Promise<{ exists: boolean }> {
  const all = store as Required<SessionStore>;
  const record = await all.getSession(id);
  const touched = await all.touchSession(id, held ?? undefined);
  const patched = await all.patchSession(id, { logLevel: 'info' });
  // A revision is not given twice: a pod that holds a lost change must not take another change for it.
  const holdsOld = held !== null && (await all.touchSession(id, held)) === held;
  const createdAgain = await all.storeSession(id, recordOf(id)).then(
    () => true,
    (error: Error) => {
      if (error instanceof SessionExistsError) return false;
      throw error;
    }
  );
  return {
    exists: record !== null,
    ...{ level: record?.metadata?.mcp?.logLevel, knewAll: held !== null && touched === held },
    ...{ patched, holdsOld, createdAgain, deleted: await all.deleteSession(id) }
  };
}

function named<T>([name, value]: [string, T]): [id: string, value: T, name: string] {
  return [name.replaceAll(' ', '-'), value, name];
}

function recordOf(sessionId: string): SessionData {
  return { sessionId, initialized: true, createdAt: 1000, lastActivity: 1000, metadata: { mcp: { logLevel: 'info' } } };
}
