import { randomUUID } from 'node:crypto';
import { RedisSessionStore, type SessionData } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { LocalPod } from '../../support/pods/localPod.js';

const redis = useRedis({ enableAutoPipelining: true });

const BUDGET = 600;

const handshake = {
  protocolVersion: '2025-11-25',
  capabilities: { roots: { listChanged: true }, sampling: {}, elicitation: {} },
  clientInfo: { name: 'claude-desktop', version: '1.4.2' }
};

test(`a session of a usual client takes at most ${BUDGET} bytes of Redis, its place in the index among them`, async () => {
  const store = new RedisSessionStore({ redis: redis.client });
  const pod = await LocalPod.start({ sessionStore: store });
  const client = await new RawClient().open(pod.url, handshake);
  const opened = (await store.getSession(client.sessionId!))!;
  expect(opened).toMatchObject({ initialized: true, metadata: { mcp: { initialize: handshake } } });
  const keys = await redis.client.keys('*');
  expect(keys).toHaveLength(3);
  const sizes = await Promise.all(keys.map(key => redis.client.memory('USAGE', key)));
  expect(sizes.reduce((sum, size) => sum! + size!, 0)).toBeLessThanOrEqual(BUDGET);

  await openMany(store, opened, 500);
  const before = await memoryUsed();
  await openMany(store, opened, 10_000);
  expect(((await memoryUsed()) - before) / 10_000).toBeLessThanOrEqual(BUDGET);
  await pod.stop();
});

/** As the transport does it: the record first, the end of the handshake behind it. */
async function openMany(store: RedisSessionStore, like: SessionData, count: number): Promise<void> {
  for (let opened = 0; opened < count; opened += 500) {
    const open = async (): Promise<void> => {
      const sessionId = randomUUID();
      await store.storeSession(sessionId, { ...like, sessionId, initialized: false, lastActivity: like.createdAt });
      await store.patchSession(sessionId, { initialized: true });
    };
    await Promise.all(Array.from({ length: 500 }, open));
  }
}

/** Without the buffers of connections, which are as large as the last burst of commands. */
async function memoryUsed(): Promise<number> {
  const info = await redis.client.info('memory');
  const of = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]);
  return of('used_memory') - of('mem_clients_normal');
}
