import { RedisSessionStore } from 'mcp-sdk-anypod/server';
import type { Entry } from '../../support/pods/probeServer.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { useTwoPods } from '../../support/pods/twoPods.js';
import { spentOn, type Spent } from '../../support/servers/redisStats.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

const pods = useTwoPods();

beforeAll(async () => {
  // A client sends the text of a script the first time, and from then on its digest.
  for (const pod of [pods.first, pods.second]) {
    const client = await new RawClient().open(pod.url);
    await client.delete(pod.url);
  }
});

/** A session that has had its first requests on the first pod. */
async function open(): Promise<RawClient> {
  const client = await new RawClient().open(pods.first.url);
  await client.callTool(pods.first.url, 'echo', { text: 'x' });
  return client;
}

const create = { evalsha: 1, exists: 1, del: 1, hset: 1, expire: 1, set: 1 };
const patch = { evalsha: 1, exists: 1, hset: 1, incrby: 1 };
/** What was left of a longer text goes. */
const patchOfText = { ...patch, hdel: 1 };
const remove = { evalsha: 1, del: 2, hkeys: 1, set: 1 };
/** A script, because the times are those of Redis' clock. What has expired goes in the same trip. */
const index = { evalsha: 1, time: 1, zremrangebyscore: 1, zadd: 1, expire: 1 };
/** Of the record, and of how long it lives yet. */
const read = { getex: 1, hgetall: 1, pttl: 1 };

/** All of these commands. */
function sum(...parts: Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const [command, calls] of parts.flatMap(part => Object.entries(part))) {
    total[command] = (total[command] ?? 0) + calls;
  }
  return total;
}

/** What is sent at the same time may be read in one go, or not. */
function expectAtMost(trips: number, spent: Spent, commands: Record<string, number>): void {
  expect(spent.commands).toEqual(commands);
  expect(spent.trips).toBeLessThanOrEqual(trips);
}

// Promise: L6
test('a request of a live session costs Redis one GETEX', async () => {
  const client = await open();
  for (const work of [
    () => client.callTool(pods.first.url, 'echo', { text: 'x' }),
    () => client.request(pods.first.url, 'tools/list')
  ]) {
    expect(await spentOn(pods.admin, work)).toEqual({ commands: { getex: 1 }, trips: 1 });
  }
  const many = () =>
    Promise.all(Array.from({ length: 50 }, () => client.callTool(pods.first.url, 'echo', { text: 'x' })));
  expect((await spentOn(pods.admin, many)).commands).toEqual({ getex: 50 });
});

test('a request that other pods must hear of costs one more PUBLISH', async () => {
  const client = await open();
  const toAll = { commands: { getex: 1, publish: 1 }, trips: 2 };
  const notify = () => client.notify(pods.first.url, 'notifications/roots/list_changed');
  expect(await spentOn(pods.admin, notify)).toEqual(toAll);
  const openStream = async () => (await client.stream(pods.first.url)).close();
  expect(await spentOn(pods.admin, openStream)).toEqual(toAll);
});

test('initialize costs two scripts in one trip, and the end of the handshake a read and a script', async () => {
  const client = new RawClient();
  const opened = await spentOn(pods.admin, () => client.initialize(pods.first.url));
  expectAtMost(3, opened, sum(create, index, { subscribe: 1 }));
  const initialized = () => client.notify(pods.first.url, 'notifications/initialized');
  const commands = sum(read, patch, { publish: 1 });
  expectAtMost(4, await spentOn(pods.admin, initialized), commands);
});

test('a recovery costs one pipeline and one read, and later requests take the hot path', async () => {
  const client = await open();
  const call = () => client.callTool(pods.second.url, 'echo', { text: 'x' });
  expectAtMost(4, await spentOn(pods.admin, call), sum(read, { subscribe: 1, getex: 1 }));
  expect(await spentOn(pods.admin, call)).toEqual({ commands: { getex: 1 }, trips: 1 });
});

test('a touch refreshes an old record together with its index entry', async () => {
  const client = await open();
  const record = `mcp:session:{${client.sessionId}}:record`;
  expect(await pods.admin.expire(record, 3600)).toBe(1);
  const call = () => client.callTool(pods.second.url, 'echo', { text: 'x' });
  expectAtMost(6, await spentOn(pods.admin, call), sum(read, { expire: 1 }, index, { subscribe: 1, getex: 1 }));
  expect(await pods.admin.ttl(record)).toBeGreaterThan(7190);
});

test('a change is published, and each other pod reads it at once', async () => {
  const client = await open();
  const call = () => client.callTool(pods.second.url, 'echo', { text: 'x' });
  await call();
  const change = async () => {
    await client.request(pods.first.url, 'logging/setLevel', { level: 'debug' });
    const isReplayed = () => pods.second.journal.entries.some(isSetLevelOf(client));
    await until('the other pod has it', isReplayed);
  };
  const commands = sum({ getex: 1 }, patchOfText, { publish: 1 }, { getex: 1 }, read);
  expectAtMost(6, await spentOn(pods.admin, change), commands);
  expect(await spentOn(pods.admin, call)).toEqual({ commands: { getex: 1 }, trips: 1 });
});

test('DELETE costs a read and a script on any pod', async () => {
  const [here, elsewhere] = [await open(), await open()];
  const ended = { publish: 1, zrem: 1 };
  const endOf = async (client: RawClient, url: string) => {
    const spent = await spentOn(pods.admin, () => client.delete(url));
    // Nobody waits for the end of the subscription: it may be counted, or come later.
    delete spent.commands.unsubscribe;
    return spent;
  };
  expectAtMost(5, await endOf(here, pods.first.url), { getex: 1, ...remove, ...ended });
  expectAtMost(6, await endOf(elsewhere, pods.second.url), { ...read, ...remove, ...ended });
});

test('an unknown session costs one round trip; a malformed id or request costs none', async () => {
  const ask = (sessionId: string, headers = {}) =>
    new RawClient({ 'mcp-session-id': sessionId, ...headers }).request(pods.first.url, 'ping');
  expect((await spentOn(pods.admin, () => ask('unknown'))).trips).toBe(1);
  expect(await spentOn(pods.admin, () => ask('x'.repeat(257)))).toEqual({ commands: {}, trips: 0 });
  const { sessionId } = await open();
  expect((await spentOn(pods.admin, () => ask(sessionId!, { accept: 'text/html' }))).trips).toBe(0);
  expect((await spentOn(pods.admin, () => ask(sessionId!, { 'content-type': 'text/plain' }))).trips).toBe(0);
});

function isSetLevelOf({ sessionId }: RawClient): (entry: Entry) => boolean {
  return entry => entry.sessionId === sessionId && entry.name === 'logging/setLevel' && entry.again === true;
}

// Promise: L6
test('memory mode sends no command to Redis, even if a store is given', async () => {
  const sessionStore = new RedisSessionStore({ redis: pods.clients[0]! });
  const pod = await LocalPod.start({ sessionStorageMode: 'memory', sessionStore });
  const work = async () => {
    const client = await new RawClient().open(pod.url);
    await client.callTool(pod.url, 'echo', { text: 'x' });
    await client.request(pod.url, 'logging/setLevel', { level: 'debug' });
    await client.delete(pod.url);
  };
  expect(await spentOn(pods.admin, work)).toEqual({ commands: {}, trips: 0 });
  await pod.stop();
});
