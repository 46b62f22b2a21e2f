import { Redis } from 'ioredis';
import { type McpHandlerOptions, RedisEventStore, RedisSessionStore } from 'mcp-sdk-anypod/server';
import { RawClient } from '../../support/clients/rawClient.js';
import { type RedisServer, startRedisServer } from '../../support/servers/redisServer.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';
import { type LocalPod, startPodForTest } from '../../support/pods/localPod.js';

let server: RedisServer;
beforeAll(async () => void (server = await startRedisServer()));
afterAll(() => server.stop());

/** A pod with a Redis client of its own and the default key prefix. */
function startPod(namespace?: string, more: (redis: Redis) => McpHandlerOptions = () => ({})): Promise<LocalPod> {
  const redis = new Redis(server.url);
  stopAfterTest(() => void redis.disconnect());
  return startPodForTest({ sessionStore: new RedisSessionStore({ redis }), namespace, ...more(redis) });
}

const echo = (pod: LocalPod, client: RawClient) => client.callTool(pod.url, 'echo', { text: 'x' });

test('a session of another namespace on the same Redis does not exist', async () => {
  const [shop, wiki] = [await startPod('shop'), await startPod('wiki')];
  const client = await new RawClient().open(shop.url);
  expect(await echo(wiki, client)).toBe(404);
  expect((await client.stream(wiki.url)).status).toBe(404);
  expect((await client.delete(wiki.url)).status).toBe(404);
  await wiki.handler.terminateSession(client.sessionId!);
  expect(wiki.count('factory')).toBe(0);
  expect(await echo(shop, client)).toBe('x');

  // A client that starts over at the other server may send its old id along.
  const again = await new RawClient().initialize(wiki.url, {}, { 'mcp-session-id': client.sessionId! });
  expect(again.status).toBe(200);
  expect(again.headers.get('mcp-session-id')).not.toBe(client.sessionId);
});

test('a session without a namespace is served in every namespace, and every session by a server without one', async () => {
  const [old, shop] = [await startPod(), await startPod('shop')];
  const [before, after] = [await new RawClient().open(old.url), await new RawClient().open(shop.url)];
  expect(await echo(shop, before)).toBe('x');
  expect(await echo(old, after)).toBe('x');
});

test('pods of one namespace serve the same sessions', async () => {
  const [one, two] = [await startPod('shop'), await startPod('shop')];
  const client = await new RawClient().open(one.url);
  expect(await echo(two, client)).toBe('x');
});

test.each([
  ['without an event store', () => ({})],
  ['with an event store', (redis: Redis) => ({ eventStore: new RedisEventStore({ redis }) })]
])('notify reaches the sessions of its own namespace alone, %s', async (_, more) => {
  const [shop, wiki] = [await startPod('shop', more), await startPod('wiki', more)];
  const [inShop, inWiki] = [await new RawClient().open(shop.url), await new RawClient().open(wiki.url)];
  const streams = [await inShop.stream(shop.url), await inWiki.stream(wiki.url)] as const;
  stopAfterTest(...streams.map(stream => () => stream.close()));

  await shop.handler.notify.toolsChanged();
  await shop.handler.notify.send(
    { method: 'notifications/prompts/list_changed' },
    { sessions: [inShop.sessionId!, inWiki.sessionId!] }
  );
  await wiki.handler.notify.resourcesChanged();
  const heard = () => streams.map(({ messages }) => messages.flatMap(({ method }) => method ?? []).sort());
  await until('both have heard something', () => heard()[0]!.length >= 2 && heard()[1]!.length >= 1);
  expect(heard()).toEqual([
    ['notifications/prompts/list_changed', 'notifications/tools/list_changed'],
    ['notifications/resources/list_changed']
  ]);
});

test('a principal is listed and signed out in one namespace alone', async () => {
  const principalOf = () => 'ada';
  const [shop, wiki] = [
    await startPod('shop', () => ({ principalOf })),
    await startPod('wiki', () => ({ principalOf }))
  ];
  const authInfo = { token: 't', clientId: 'c', scopes: [] };
  const open = async ({ handler }: LocalPod) => {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
    const request = new Request('http://localhost/mcp', {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })
    });
    const response = await handler.fetch(request, { authInfo });
    await response.text();
    return response.headers.get('mcp-session-id')!;
  };
  const [inShop, inWiki] = [await open(shop), await open(wiki)];
  const listed: string[] = [];
  for await (const id of shop.handler.listSessions('ada')) listed.push(id);
  expect(listed).toEqual([inShop]);
  expect(await shop.handler.revokeSessions('ada')).toBe(1);
  const left: string[] = [];
  for await (const id of wiki.handler.listSessions('ada')) left.push(id);
  expect(left).toEqual([inWiki]);
});
