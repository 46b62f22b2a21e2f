import { Redis } from 'ioredis';
import { createMcpHandler, RedisEventStore, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import { LocalPod, startPodForTest } from '../../support/pods/localPod.js';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { startTcpProxy, type TcpProxy } from '../../support/servers/tcpProxy.js';
import { until } from '../../support/until.js';

let server: RedisServer;
let proxy: TcpProxy;
let redis: Redis;
let pod: LocalPod;

beforeAll(async () => {
  server = await startRedisServer();
  proxy = await startTcpProxy(server.port);
  const options = { maxRetriesPerRequest: 0, retryStrategy: () => 50 };
  redis = new Redis(proxy.port, '127.0.0.1', options).on('error', () => {});
  pod = await LocalPod.start({
    sessionStore: new RedisSessionStore({ redis }),
    eventStore: new RedisEventStore({ redis }),
    storeTimeoutMs: 200
  });
});

afterAll(async () => {
  await pod?.stop();
  redis?.disconnect();
  await proxy?.stop();
  await server?.stop();
});

const call = (client: RawClient) => client.callTool(pod.url, 'echo', { text: 'x' });

test('a pod that cannot reach its store is not ready, says when it last could, and is ready again by itself', async () => {
  const client = await new RawClient().open(pod.url);
  const before = Date.now();
  expect(await call(client)).toBe('x');
  const healthy = pod.handler.health();
  expect(healthy).toMatchObject({ ready: true, draining: false, liveSessions: 1, inFlight: 0 });
  expect(healthy.store).toMatchObject({ reachable: true, lastError: undefined });
  expect(healthy.bus).toMatchObject({ reachable: true });
  expect(healthy.log).toMatchObject({ reachable: true });

  proxy.cut();
  expect(await call(client)).toBe(503);
  const { ready, store } = pod.handler.health();
  expect([ready, pod.handler.ready]).toEqual([false, false]);
  expect(store?.reachable).toBe(false);
  expect(store?.lastAnswerAt).toBeGreaterThanOrEqual(before - 1);
  expect(store?.lastAnswerAt).toBeLessThanOrEqual(Date.now());
  expect(store?.lastError?.code).toBe('ANYPOD_STORE_UNAVAILABLE');
  expect(store?.lastError?.message).not.toContain(client.sessionId);
  expect(store?.lastError?.ageMs).toBeGreaterThanOrEqual(0);

  proxy.restore();
  // No client sends a request to a pod that is not ready: the probe alone must find out.
  await until('the pod is ready again', () => pod.handler.ready);
  expect(pod.handler.health().store).toMatchObject({
    reachable: true,
    lastError: { code: 'ANYPOD_STORE_UNAVAILABLE' }
  });
  expect(await call(client)).toBe('x');
});

test('an idle pod finds out that its store is gone when its readiness is asked for', async () => {
  const lost = new Redis(1, '127.0.0.1', { maxRetriesPerRequest: 0, retryStrategy: () => 50 }).on('error', () => {});
  const handler = createMcpHandler(() => ({ connect: async () => {}, close: async () => {} }), {
    sessionStore: new RedisSessionStore({ redis: lost }),
    storeTimeoutMs: 200,
    onerror: () => {}
  });
  expect(handler.health().store).toEqual({ reachable: undefined, lastAnswerAt: undefined, lastError: undefined });
  await until('the pod is not ready', () => !handler.ready);
  expect(handler.health().store).toMatchObject({ reachable: false, lastAnswerAt: undefined });
  await handler.close({ drainMs: 0 });
  lost.disconnect();
});

test('a session that the store does not have, or that it has already, is an answer of the store', async () => {
  const client = await new RawClient().open(pod.url);
  await redis.flushall();
  expect(await call(client)).toBe(404);
  expect(pod.handler.ready).toBe(true);
});

test('in memory mode there is no store and no bus, and draining is shown', async () => {
  const local = await startPodForTest();
  const slow = (await new RawClient().open(local.url)).callTool(local.url, 'slow', { ms: 200 });
  await until('the tool runs', () => local.handler.health().inFlight > 0);
  const closed = local.handler.close();
  expect(local.handler.health()).toMatchObject({
    ready: false,
    draining: true,
    liveSessions: 1,
    store: undefined,
    bus: undefined
  });
  expect(await slow).toBe('done');
  await closed;
  expect(local.handler.health()).toMatchObject({ liveSessions: 0, inFlight: 0 });
});
