import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { RedisEventStore, RedisSessionBus, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { watched } from '../../support/clients/redisClients.js';
import { startRedisSentinels, type RedisSentinels } from '../../support/servers/redisSentinel.js';
import { until } from '../../support/until.js';

let sentinels: RedisSentinels;
beforeAll(async () => void (sentinels = await startRedisSentinels()));
afterAll(() => sentinels.stop());

function record(sessionId: string) {
  const now = Date.now();
  return { sessionId, initialized: false, createdAt: now, lastActivity: now };
}

test('when the master is killed under traffic, sessions, events and bus continue on the replica, with every client', async () => {
  const subjects = await Promise.all(
    Object.entries(watched).map(async ([name, connect]) => {
      const client = await connect(sentinels);
      const { redis } = client;
      const store = new RedisSessionStore({ redis, keyPrefix: `${name}:` });
      const bus = new RedisSessionBus({ redis, keyPrefix: `${name}:` });
      const sessionId = randomUUID();
      await store.storeSession(sessionId, record(sessionId));
      const heard: string[] = [];
      await bus.subscribe('topic', message => heard.push(message));
      await bus.publish('topic', 'before');
      await until('it is heard', () => heard.includes('before'));
      return { name, client, store, bus, sessionId, heard, events: new RedisEventStore({ redis }) };
    })
  );
  const replicated = subjects.map(({ store, sessionId }) =>
    until('it can be read', async () => (await store.getSession(sessionId)) !== null)
  );
  await Promise.all(replicated);

  let over = false;
  const traffic = subjects.map(async ({ store, sessionId }) => {
    while (!over) {
      await Promise.race([store.touchSession(sessionId).catch(() => {}), delay(500)]);
      await delay(20);
    }
  });
  await sentinels.master.kill();
  await sentinels.untilFailedOver();
  over = true;
  await Promise.all(traffic);

  const working = subjects.map(async ({ name, store, bus, sessionId, heard, events }) => {
    await until(
      `${name} finds its session`,
      async () => (await within(store.touchSession(sessionId)))?.sessionId === sessionId,
      20_000
    );
    const another = randomUUID();
    await store.storeSession(another, record(another));
    expect(await store.patchSession(another, { logLevel: 'info' })).toBe(true);
    const eventId = await events.storeEvent(`stream of ${name}`, { jsonrpc: '2.0', method: 'x' });
    expect(await events.getStreamIdForEventId(eventId)).toBe(`stream of ${name}`);
    await until(
      `${name} hears again`,
      async () => {
        await within(bus.publish('topic', 'after'));
        return heard.includes('after');
      },
      20_000
    );
  });
  await Promise.all(working);
  await Promise.all(subjects.map(async ({ bus, client }) => (await bus.close(), client.close())));
});

/** Undefined where it fails or takes long: the client is on its way to the new master. */
function within<T>(work: Promise<T>): Promise<T | undefined> {
  return Promise.race([work.catch(() => undefined), delay(500, undefined)]);
}
