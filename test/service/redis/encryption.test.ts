import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { encryptSessionStore, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { principalContract, sessionStateContract, sessionStoreContract } from 'mcp-sdk-anypod/testing';
import { RawClient } from '../../support/clients/rawClient.js';
import { contentsOf } from '../../support/servers/redisContents.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { spentOn } from '../../support/servers/redisStats.js';
import { twoRedisStores } from '../../support/stores/twoRedisStores.js';
import { LocalPod } from '../../support/pods/localPod.js';

const keys = [randomBytes(32)];
const redis = useRedis();

const makeTwo = twoRedisStores(
  () => new Redis(redis.server.url),
  (client, ttlSeconds) => encryptSessionStore(new RedisSessionStore({ redis: client, ttlSeconds }), { keys })
);

sessionStoreContract({
  describe,
  it,
  name: 'RedisSessionStore, encrypted',
  optionalMethods: ['touchSession', 'refreshSessions', 'getSessionOwner', 'patchSession', 'listSessionIds'],
  makeTwo
});
sessionStateContract({ describe, it, name: 'RedisSessionStore, encrypted', makeTwo });
principalContract({ describe, it, name: 'RedisSessionStore, encrypted', makeTwo });

describe('pods on an encrypted Redis store', () => {
  const startPod = (podKeys = keys) =>
    LocalPod.start({
      sessionStore: encryptSessionStore(new RedisSessionStore({ redis: redis.client }), { keys: podKeys })
    });
  let first: LocalPod;
  let second: LocalPod;
  beforeAll(async () => void ([first, second] = await Promise.all([startPod(), startPod()])));
  afterAll(() => Promise.all([first.stop(), second.stop()]));

  const open = () => new RawClient().open(first.url, { clientInfo: { name: 'nameless-client', version: '1' } });

  test('leave nothing readable in Redis except the documented fields', async () => {
    await redis.client.flushall();
    const client = await open();
    await client.request(first.url, 'resources/subscribe', { uri: 'file:///secret-plans' });
    await client.request(second.url, 'logging/setLevel', { level: 'alert' });
    const store = encryptSessionStore(new RedisSessionStore({ redis: redis.client }), { keys });
    const mcp = { principal: '["https://issuer.test","alice"]' };
    await store.storeSession('s', {
      sessionId: 's',
      initialized: true,
      createdAt: 1,
      lastActivity: 1,
      metadata: { mcp }
    });
    await store.putState!('s', '{"access_token":"token-of-alice"}');

    const raw = await contentsOf(redis.client);
    expect(raw).toContain(client.sessionId);
    expect(raw).toContain('sealed:v1:');
    for (const secret of ['nameless', 'clientInfo', 'secret-plans', 'file:', 'alert', '2025-', 'alice', 'issuer']) {
      expect(raw).not.toContain(secret);
    }
    expect(await store.getState!('s')).toEqual({ value: '{"access_token":"token-of-alice"}', version: 1 });
  });

  test('ask Redis for one GETEX per request of a live session', async () => {
    const client = await open();
    const admin = new Redis(redis.server.url);
    await client.callTool(second.url, 'echo', { text: 'x' });
    const call = () => client.callTool(second.url, 'echo', { text: 'x' });
    expect(await spentOn(admin, call)).toEqual({ commands: { getex: 1 }, trips: 1 });
    admin.disconnect();
  });

  test('answer 503 for a record that was changed or moved, and leave it where it is', async () => {
    const [client, victim] = [await open(), await open()];
    const recordOf = ({ sessionId }: RawClient) => `mcp:session:{${sessionId}}:record`;
    const metadata = await redis.client.hgetall(recordOf(victim));
    await redis.client.multi().hset(recordOf(client), metadata).incr(`mcp:session:{${client.sessionId}}`).exec();
    for (const { url } of [first, second]) {
      const answer = await client.request(url, 'tools/list');
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    }
    expect(await redis.client.hgetall(recordOf(client))).toEqual(metadata);
    expect(second.errors.join()).toMatch(/SessionRecordUnreadableError: The record of session \w{8} is unreadable/);
    expect(second.errors.join()).not.toContain(client.sessionId);
    expect((await victim.request(second.url, 'tools/list')).status).toBe(200);
  });

  test('answer 503 while they lack the key, and serve again when they have it', async () => {
    const client = await open();
    const stranger = await startPod([randomBytes(32)]);
    expect((await client.request(stranger.url, 'tools/list')).status).toBe(503);
    await stranger.stop();
    const rotated = await startPod([randomBytes(32), ...keys]);
    expect(await client.callTool(rotated.url, 'echo', { text: 'x' })).toBe('x');
    await rotated.stop();
  });
});
