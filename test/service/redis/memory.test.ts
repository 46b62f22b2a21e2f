import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { RedisSessionStore, type SessionData } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { LocalPod } from '../../support/pods/localPod.js';
import { until } from '../../support/until.js';

const redis = useRedis();

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

  await openMany(opened, 500);
  const before = await memoryUsed();
  await openMany(opened, 10_000);
  // While Redis enlarges its table of keys, in its idle time, it has two of them.
  await until('a session takes no more', async () => ((await memoryUsed()) - before) / 10_000 <= BUDGET);
  await pod.stop();
});

/**
 * As the transport does it: the record first, the end of the handshake behind it. Its connection is closed at the end,
 * because Redis keeps buffers for it that are as large as the last burst of commands.
 */
async function openMany(like: SessionData, count: number): Promise<void> {
  const client = new Redis(redis.server.url, { enableAutoPipelining: true });
  const store = new RedisSessionStore({ redis: client });
  for (let opened = 0; opened < count; opened += 500) {
    const open = async (): Promise<void> => {
      const sessionId = randomUUID();
      await store.storeSession(sessionId, { ...like, sessionId, initialized: false, lastActivity: like.createdAt });
      await store.patchSession(sessionId, { initialized: true });
    };
    await Promise.all(Array.from({ length: 500 }, open));
  }
  await client.quit();
}

async function memoryUsed(): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.client.info('memory'))?.[1]);
}
