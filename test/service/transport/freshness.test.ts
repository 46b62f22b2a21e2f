import { Redis } from 'ioredis';
import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import { listen } from '../../support/servers/listen.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { startRedisServer, type RedisServer } from '../../support/servers/redisServer.js';
import { spentOn } from '../../support/servers/redisStats.js';
import { startTcpProxy, type TcpProxy } from '../../support/servers/tcpProxy.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

const ttlSeconds = 600;
const sessionFreshnessMs = 6000;
const storeTimeoutMs = 500;

let server: RedisServer;
let network: TcpProxy;
let admin: Redis;
let clients: Redis[];
/** Trusts what it has seen; its network can fail. */
let trusting: LocalPod;
/** Asks every time. */
let asking: LocalPod;

beforeAll(async () => {
  server = await startRedisServer();
  network = await startTcpProxy(server.port);
  admin = new Redis(server.url);
  clients = [network.port, server.port].map(port => new Redis(port, '127.0.0.1').on('error', () => {}));
  const store = (index: number) => new RedisSessionStore({ redis: clients[index]!, ttlSeconds });
  trusting = await LocalPod.start({ sessionStore: store(0), storeTimeoutMs, sessionFreshnessMs });
  asking = await LocalPod.start({ sessionStore: store(1), storeTimeoutMs });
});

afterAll(async () => {
  await Promise.all([trusting.stop(), asking.stop()]);
  [admin, ...clients].forEach(client => client.disconnect());
  await network.stop();
  await server.stop();
});

afterEach(() => {
  network.delay(0);
  server.resume();
});

const open = () => new RawClient().open(trusting.url);
const echo = (pod: LocalPod, client: RawClient) => client.callTool(pod.url, 'echo', { text: 'x' });
const keyOf = (client: RawClient) => `mcp:session:{${client.sessionId}}`;

test('a request of a session that was seen a moment ago does not wait for the store', async () => {
  const client = await open();
  server.pause();
  expect(await echo(trusting, client)).toBe('x');
  expect(await echo(asking, client)).toBe(503);
});

test('the requests of a trusted session share one question to the store, which refreshes the time to live', async () => {
  const client = await open();
  await admin.expire(keyOf(client), 30);
  const { commands } = await spentOn(admin, async () => {
    for (let i = 0; i < 20; i++) await echo(trusting, client);
    await Promise.all(Array.from({ length: 20 }, () => echo(trusting, client)));
    await until('the time to live is refreshed', async () => (await admin.ttl(keyOf(client))) > 30);
  });
  // The end of the handshake has changed the record, so it is read twice.
  expect(commands.getex).toBeLessThanOrEqual(2);
});

test('a trusted session that another request does not follow is refreshed after its last request', async () => {
  const client = await open();
  await echo(trusting, client);
  await admin.expire(keyOf(client), 30);
  await until('the time to live is refreshed', async () => (await admin.ttl(keyOf(client))) > 30);
});

test('a session that another pod deletes is closed on a pod that trusts it', async () => {
  const client = await open();
  expect(await echo(asking, client)).toBe('x');
  expect(await echo(trusting, client)).toBe('x');
  expect((await client.delete(asking.url)).status).toBe(200);
  await until('the bus has told', async () => (await echo(trusting, client)) === 404);
  expect(trusting.count('server closed', client.sessionId)).toBe(1);
});

test('a session that ended without a message is closed after the first answer of the store', async () => {
  const client = await open();
  await admin.del(keyOf(client));
  expect(await echo(trusting, client)).toBe('x');
  await until('the store has answered', async () => (await echo(trusting, client)) === 404);
});

test('a request in progress is answered even if the store reports meanwhile that the session is gone', async () => {
  const client = await open();
  await admin.del(keyOf(client));
  expect(await client.callTool(trusting.url, 'slow', { ms: sessionFreshnessMs / 2 + 500 })).toBe('done');
  await until('the session has ended', async () => (await echo(trusting, client)) === 404);
});

test('a deleted session is closed without another request, with or without a stream', async () => {
  const [quiet, listening] = [await open(), await open()];
  const stream = await listening.stream(trusting.url);
  await admin.del(keyOf(quiet), keyOf(listening));
  for (const client of [quiet, listening]) expect(await echo(trusting, client)).toBe('x');
  await stream.ended;
  for (const { sessionId } of [quiet, listening]) {
    await until('its server is closed', () => trusting.count('server closed', sessionId) === 1);
  }
});

test('another principal waits for the store, as for a missing session', async () => {
  const logIn = await listen((req, res) => {
    const auth: AuthInfo = { token: 'token', clientId: String(req.headers['x-user']), scopes: [] };
    void trusting.handler.node(Object.assign(req, { auth }), res);
  });
  try {
    const client = await new RawClient({ 'x-user': 'alice' }).open(logIn.origin);
    const strangers = [client.sessionId!, 'unknown'].map(sessionId => {
      return new RawClient({ 'x-user': 'mallory', 'mcp-session-id': sessionId });
    });
    const answered = () => Promise.all(strangers.map(async each => (await each.request(logIn.origin, 'ping')).status));
    expect(await answered()).toEqual([404, 404]);
    server.pause();
    expect((await client.request(logIn.origin, 'ping')).status).toBe(200);
    expect(await answered()).toEqual([503, 503]);
  } finally {
    await logIn.stop();
  }
});

test('a DELETE always asks the store', async () => {
  const client = await open();
  expect(await echo(trusting, client)).toBe('x');
  await admin.del(keyOf(client));
  expect((await client.delete(trusting.url)).status).toBe(404);
});

test('the end of a trusted session is reported to the application, then to the server', async () => {
  const client = await open();
  expect(await echo(trusting, client)).toBe('x');
  expect((await client.delete(trusting.url)).status).toBe(200);
  const ends = trusting.journal.entries.filter(entry => entry.sessionId === client.sessionId).map(({ what }) => what);
  expect(ends.slice(-2)).toEqual(['onsessionclosed', 'server closed']);
});

test('a change on another pod is applied without waiting for the store', async () => {
  const client = await open();
  expect(await echo(trusting, client)).toBe('x');
  await client.request(asking.url, 'logging/setLevel', { level: 'error' });
  await until('the level has arrived', async () => {
    await echo(trusting, client);
    return trusting.journal.entries.some(({ name, sessionId }) => {
      return name === 'logging/setLevel' && sessionId === client.sessionId;
    });
  });
});

test('a session that has been trusted long enough waits for the store again', async () => {
  const brief = await LocalPod.start({
    sessionStore: new RedisSessionStore({ redis: clients[0]!, ttlSeconds }),
    storeTimeoutMs,
    sessionFreshnessMs: 1
  });
  try {
    const client = await new RawClient().open(brief.url);
    expect(await echo(brief, client)).toBe('x');
    server.pause();
    await until('the trust has run out', async () => (await echo(brief, client)) === 503);
  } finally {
    server.resume();
    await brief.stop();
  }
});
