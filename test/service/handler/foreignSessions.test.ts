import { Redis } from 'ioredis';
import {
  createMcpHandler,
  encryptSessionStore,
  InMemorySessionStore,
  type McpHandler,
  McpServer,
  RedisSessionStore,
  type SessionStore
} from 'mcp-sdk-anypod/server';
import { type RedisServer, startRedisServer } from '../../support/servers/redisServer.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';

let server: RedisServer;
beforeAll(async () => void (server = await startRedisServer()));
afterAll(() => server.stop());

const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
/** As much as a client may bring along. */
const largeParams = { ...params, capabilities: { experimental: { large: { text: 'x'.repeat(60_000) } } } };
const keys = [{ id: 'a', key: new Uint8Array(32) }];

function podOn(sessionStore: SessionStore): McpHandler {
  const handler = createMcpHandler(() => new McpServer({ name: 'probe', version: '1' }), { sessionStore });
  stopAfterTest(() => handler.close({ drainMs: 0 }));
  return handler;
}

async function ask(
  handler: McpHandler,
  who: string,
  { sessionId, method = 'ping', with: sent = {} }: { sessionId?: string | undefined; method?: string; with?: object }
): Promise<{ status: number; text: string; sessionId: string | null }> {
  const request = new Request('http://localhost/mcp', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...(sessionId && { 'mcp-session-id': sessionId })
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: sent })
  });
  const response = await handler.fetch(request, { authInfo: { token: 't', clientId: who, scopes: [] } });
  const { status, headers } = response;
  return { status, text: await response.text(), sessionId: headers.get('mcp-session-id') };
}

/** The names of the methods that are called of a store. */
function noting(store: SessionStore, calls: string[]): SessionStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        calls.push(String(name));
        return value.apply(target, args);
      };
    }
  });
}

test.each([
  ['in clear', (store: SessionStore) => store],
  ['encrypted', (store: SessionStore) => encryptSessionStore(store, { keys })]
])('the record of a session that a client may not use is not read, %s', async (_, wrap) => {
  const store = new InMemorySessionStore();
  const calls: string[] = [];
  const [first, second] = [podOn(wrap(store)), podOn(wrap(noting(store, calls)))];
  const { sessionId } = await ask(first, 'ada', { method: 'initialize', with: largeParams });
  for (const opened of [sessionId!, 'unknown']) {
    calls.length = 0;
    expect(await ask(second, 'eve', { sessionId: opened })).toMatchObject({ status: 404 });
    expect(calls).toEqual(['getSessionOwner']);
  }
  calls.length = 0;
  const again = await ask(second, 'ada', { sessionId: sessionId!, method: 'initialize', with: params });
  expect(again).toMatchObject({ status: 400, text: expect.stringContaining('already initialized') as string });
  expect(calls).toEqual(['getSessionOwner']);
  expect(await ask(second, 'ada', { sessionId: sessionId! })).toMatchObject({ status: 200 });
  calls.length = 0;
  // Live on this pod, and somebody else's all the same.
  expect(await ask(second, 'eve', { sessionId: sessionId! })).toMatchObject({ status: 404 });
  expect(calls).toEqual(['getSessionOwner']);
});

test('with encryption, a foreign session costs as much work as a missing one', async () => {
  const store = encryptSessionStore(new InMemorySessionStore(), { keys });
  const [first, second] = [podOn(store), podOn(store)];
  const { sessionId } = await ask(first, 'ada', { method: 'initialize', with: largeParams });
  await ask(second, 'eve', { sessionId: 'unknown' });
  const decrypt = jest.spyOn(crypto.subtle, 'decrypt');
  stopAfterTest(() => decrypt.mockRestore());
  const work = [];
  for (const named of [sessionId!, 'unknown']) {
    decrypt.mockClear();
    await ask(second, 'eve', { sessionId: named });
    work.push(decrypt.mock.calls.length);
  }
  expect(work).toEqual([1, 1]);
});

test('Redis sends only a fraction of a large record for its owner', async () => {
  const redis = new Redis(server.url);
  stopAfterTest(() => void redis.disconnect());
  const store = new RedisSessionStore({ redis });
  const { sessionId } = await ask(podOn(store), 'ada', { method: 'initialize', with: largeParams });
  await store.putState(sessionId!, 'x'.repeat(1_000_000));
  const sent = async () => Number(/total_net_output_bytes:(\d+)/.exec(await redis.info('stats'))?.[1]);
  await sent();
  const before = await sent();
  expect(await store.getSessionOwner(sessionId!)).toMatchObject({ principal: '["ada"]' });
  expect((await sent()) - before).toBeLessThan(20_000);
});
