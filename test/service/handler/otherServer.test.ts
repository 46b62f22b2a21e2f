import { Redis } from 'ioredis';
import {
  createMcpHandler,
  encryptSessionStore,
  FileSessionStore,
  InMemorySessionStore,
  type McpHandlerOptions,
  McpServer,
  RedisSessionStore,
  type SessionStore
} from 'mcp-sdk-anypod/server';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RawClient } from '../../support/clients/rawClient.js';
import { listen } from '../../support/servers/listen.js';
import { type RedisServer, startRedisServer } from '../../support/servers/redisServer.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { MapSessionStore } from '../../support/stores/mapSessionStore.js';

let redisServer: RedisServer;
beforeAll(async () => void (redisServer = await startRedisServer()));
afterAll(() => redisServer.stop());

const message =
  'The server "wiki" recovered a session that the server "shop" opened, and serves it. If they are two MCP servers on one ' +
  'store, give each the option namespace, or a key prefix of its own; if the server was renamed, nothing is wrong';

async function startServer(name: string, sessionStore: SessionStore, options: McpHandlerOptions = {}) {
  const errors: string[] = [];
  // A store with five methods has no bus, which is reported too.
  const onerror = ({ message }: Error) => void (message.includes('store has no bus') || errors.push(message));
  const handler = createMcpHandler(() => new McpServer({ name, version: '1' }), { sessionStore, onerror, ...options });
  const server = await listen((req, res) => void handler.node(req, res));
  stopAfterTest(async () => {
    await handler.close();
    await server.stop();
  });
  return { url: `${server.origin}/mcp`, errors };
}

const ping = async (client: RawClient, url: string) => (await client.request(url, 'ping')).status;

const makeStores: [string, () => Promise<SessionStore[]>][] = [
  [
    'RedisSessionStore',
    async () => {
      const redis = [0, 1, 2].map(() => new Redis(redisServer.url, { socketTimeout: 5000 }));
      stopAfterTest(() => redis.forEach(each => each.disconnect()));
      return redis.map(each => new RedisSessionStore({ redis: each }));
    }
  ],
  [
    'FileSessionStore',
    async () => {
      const path = await mkdtemp(join(tmpdir(), 'anypod-'));
      stopAfterTest(() => rm(path, { recursive: true }));
      return [0, 1, 2].map(() => new FileSessionStore({ path }));
    }
  ],
  ['InMemorySessionStore', async () => Array<SessionStore>(3).fill(new InMemorySessionStore())],
  [
    'an encrypted store',
    async () => {
      const store = new InMemorySessionStore();
      return [0, 1, 2].map(() => encryptSessionStore(store, { keys: [new Uint8Array(32)] }));
    }
  ],
  [
    'a store with five methods',
    async () => {
      const records = new Map<string, string>();
      return [0, 1, 2].map(() => new MapSessionStore(records));
    }
  ]
];

describe.each(makeStores)('two MCP servers on one %s', (_, makeThree) => {
  test('serve the session of the other one, and report it once', async () => {
    const [one, two, three] = (await makeThree()) as [SessionStore, SessionStore, SessionStore];
    const shop = await startServer('shop', one);
    const shopToo = await startServer('shop', two);
    const wiki = await startServer('wiki', three);
    const clients = [await new RawClient().open(shop.url), await new RawClient().open(shop.url)];
    for (const client of clients) {
      expect(await ping(client, shopToo.url)).toBe(200);
      expect(await ping(client, wiki.url)).toBe(200);
    }
    expect([shop.errors, shopToo.errors, wiki.errors]).toEqual([[], [], [message]]);
  });
});

test('a server with a namespace, whose other pods have another name, reports nothing', async () => {
  const sessionStore = new InMemorySessionStore();
  const [before, after] = [
    await startServer('shop', sessionStore, { namespace: 'shop' }),
    await startServer('store', sessionStore, { namespace: 'shop' })
  ];
  const client = await new RawClient().open(before.url);
  expect(await ping(client, after.url)).toBe(200);
  expect(after.errors).toEqual([]);
});

test('a session without the name of its server is served, and nothing is reported', async () => {
  const sessionStore = new InMemorySessionStore();
  const client = await new RawClient().open((await startServer('shop', sessionStore)).url);
  const { metadata, ...record } = (await sessionStore.getSession(client.sessionId!))!;
  const { serverName, ...mcp } = metadata!.mcp!;
  expect(serverName).toBe('shop');
  await sessionStore.deleteSession(client.sessionId!);
  const old = { ...record, sessionId: 'old', metadata: { mcp } };
  await sessionStore.storeSession('old', old);
  client.sessionId = 'old';
  const wiki = await startServer('wiki', sessionStore);
  expect(await ping(client, wiki.url)).toBe(200);
  expect(wiki.errors).toEqual([]);
});
