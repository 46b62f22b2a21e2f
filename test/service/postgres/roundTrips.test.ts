import { PostgresSessionStore } from 'mcp-sdk-anypod/server';
import type { Pool } from 'pg';
import { PostgresPools } from '../../support/servers/postgresPools.js';
import { RawClient } from '../../support/clients/rawClient.js';
import { until } from '../../support/until.js';
import { LocalPod } from '../../support/pods/localPod.js';

let postgres: PostgresPools;
let pools: [Pool, Pool];
let first: LocalPod;
let second: LocalPod;

beforeAll(async () => {
  postgres = await PostgresPools.start();
  const schema = await postgres.schema();
  pools = [postgres.pool(), postgres.pool()];
  const pods = await Promise.all(
    pools.map(pool => LocalPod.start({ sessionStore: new PostgresSessionStore({ pool, schema }) }))
  );
  [first, second] = pods as [LocalPod, LocalPod];
});
afterAll(async () => {
  await Promise.all([first.stop(), second.stop()]);
  await postgres.stop();
});

/** The first words of the statements that a piece of work costs, on both pods. */
async function spentOn(work: () => Promise<unknown>): Promise<string[]> {
  const spies = pools.map(pool => jest.spyOn(pool, 'query'));
  try {
    await work();
    const texts = spies.flatMap(spy => spy.mock.calls.map(([text]) => String(text)));
    return texts.map(text => (/pg_notify/.test(text) ? 'notify' : (/insert|update|select/.exec(text)?.[0] ?? text)));
  } finally {
    spies.forEach(spy => spy.mockRestore());
  }
}

async function open(): Promise<RawClient> {
  const client = await new RawClient().open(first.url);
  await client.callTool(first.url, 'echo', { text: 'x' });
  return client;
}

// Promise: L6
test('a request of a live session costs one statement, the recovery on another pod one more', async () => {
  const client = await open();
  expect(await spentOn(() => client.callTool(first.url, 'echo', { text: 'x' }))).toEqual(['update']);
  // The second look, once this pod listens, finds what was changed or ended meanwhile.
  expect(await spentOn(() => client.callTool(second.url, 'echo', { text: 'x' }))).toEqual(['update', 'update']);
  const many = () => Promise.all(Array.from({ length: 50 }, () => client.callTool(second.url, 'echo', { text: 'x' })));
  expect(await spentOn(many)).toEqual(Array(50).fill('update'));
});

test('a handshake costs an insert, a touch and a patch, and a message for other pods a NOTIFY', async () => {
  const client = new RawClient();
  expect(await spentOn(() => client.initialize(first.url))).toEqual(['insert']);
  const initialized = await spentOn(() => client.notify(first.url, 'notifications/initialized'));
  expect(initialized.sort()).toEqual(['notify', 'update', 'update']);
});

test('a change is published to the pods that hold the session, and each reads it once', async () => {
  const client = await open();
  await client.callTool(second.url, 'echo', { text: 'x' });
  const change = async () => {
    await client.request(first.url, 'logging/setLevel', { level: 'debug' });
    await until('the other pod has it', () =>
      second.journal.entries.some(
        ({ sessionId, name, again }) => sessionId === client.sessionId && name === 'logging/setLevel' && again === true
      )
    );
  };
  expect((await spentOn(change)).sort()).toEqual(['notify', 'update', 'update', 'update']);
});

test('an unknown id costs one statement, and a malformed id none', async () => {
  const ask = (sessionId: string) => new RawClient({ 'mcp-session-id': sessionId }).request(first.url, 'ping');
  expect(await spentOn(() => ask('unknown'))).toEqual(['update']);
  expect(await spentOn(() => ask('x'.repeat(257)))).toEqual([]);
});
