import { Redis } from 'ioredis';
import {
  McpServer,
  migrate,
  PostgresSessionStore,
  RedisSessionStore,
  type SessionStore,
  StreamableHTTPServerTransport
} from 'mcp-sdk-anypod/server';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Pool } from 'pg';
import { listen, type Listening } from '../../support/servers/listen.js';
import { PostgresPools } from '../../support/servers/postgresPools.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { useRedis } from '../../support/servers/useRedis.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

/* An application may make a store with each transport, that is, one for each session. */

const used = useRedis();
let postgres: PostgresPools;
let redis: Redis;
let pool: Pool;
let schema: string;

beforeAll(async () => void (postgres = await PostgresPools.start()));
afterAll(() => postgres.stop());
beforeEach(async () => {
  redis = new Redis(used.server.url);
  pool = postgres.pool();
  schema = await postgres.schema();
  await migrate({ pool, schema });
});
afterEach(() => redis.disconnect());

interface Backend {
  makeStore: () => SessionStore;
  /** Connections that listen to other pods. */
  listening: () => Promise<number>;
}

const onRedis: Backend = {
  makeStore: () => new RedisSessionStore({ redis }),
  listening: async () =>
    String(await used.client.client('LIST', 'TYPE', 'PUBSUB'))
      .split('\n')
      .filter(Boolean).length
};
const onPostgres: Backend = {
  makeStore: () => new PostgresSessionStore({ pool, schema }),
  listening: async () => {
    const sql = "select 1 from pg_stat_activity where query ilike 'listen%' and datname = current_database()";
    return (await pool.query(sql)).rowCount ?? 0;
  }
};

describe.each([
  ['Redis', onRedis],
  ['Postgres', onPostgres]
])('on %s', (_name, { makeStore, listening }) => {
  const stores: SessionStore[] = [];
  let pod: Listening;
  let url: string;

  /** A pod as the SDK's examples have it: a map of transports. */
  beforeEach(async () => {
    stores.length = 0;
    const transports = new Map<string, StreamableHTTPServerTransport>();
    const makeTransport = async () => {
      const sessionStore = makeStore();
      stores.push(sessionStore);
      const transport = new StreamableHTTPServerTransport({
        sessionStorageMode: 'external',
        sessionStore,
        onsessioninitialized: sessionId => void transports.set(sessionId, transport)
      });
      await new McpServer({ name: 'map', version: '1' }).connect(transport);
      return transport;
    };
    const serve = async (req: IncomingMessage, res: ServerResponse) => {
      const known = transports.get(String(req.headers['mcp-session-id']));
      await (known ?? (await makeTransport())).handleRequest(req, res);
    };
    pod = await listen((req, res) => void serve(req, res));
    url = `${pod.origin}/mcp`;
  });
  afterEach(async () => {
    await pod.stop();
    await Promise.all(stores.map(store => store.close!()));
    await until('nobody listens', async () => (await listening()) === 0);
  });

  test('sessions receive messages of other pods on one connection', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => new RawClient().open(url)));
    expect(new Set(clients.map(({ sessionId }) => sessionId)).size).toBe(20);
    expect(await listening()).toBe(1);
  });

  test('closing another store or a handler keeps the connection open', async () => {
    const client = await new RawClient().open(url);
    const other = await new RawClient().open(url);
    const stream = await client.stream(url);
    expect(stores).toHaveLength(2);

    const otherStores = [makeStore(), makeStore()];
    stores.push(...otherStores);
    const [leaves, stays] = await Promise.all(otherStores.map(sessionStore => LocalPod.start({ sessionStore })));
    await other.request(leaves!.url, 'ping');
    await leaves!.stop();
    await stores[1]!.close!();
    expect((await client.delete(stays!.url)).status).toBe(200);
    await stream.ended;

    await stays!.stop();
    expect(await listening()).toBe(1);
  });
});

test('closing the last store closes the connection', async () => {
  const stores = [0, 1].map(() => new RedisSessionStore({ redis }));
  for (const store of stores) await store.createBus().subscribe('topic', () => {});
  expect(stores[0]!.createBus()).toBe(stores[1]!.createBus());
  for (const store of [stores[0]!, stores[0]!]) await store.close();
  expect(await onRedis.listening()).toBe(1);
  await stores[1]!.close();
  await until('nobody listens', async () => (await onRedis.listening()) === 0);
});

test('stores with another prefix, or in another schema, have a bus of their own', async () => {
  const [mine, yours] = ['a:', 'b:'].map(keyPrefix => new RedisSessionStore({ redis, keyPrefix }).createBus());
  expect(mine).not.toBe(yours);
  const inSchemas = ['one', 'two'].map(each => new PostgresSessionStore({ pool, schema: each }).createBus());
  expect(inSchemas[0]).not.toBe(inSchemas[1]);
});
