import { startPods } from '../support/process.js';
import { startRedisServer, type RedisServer } from '../support/redisServer.js';
import { startRoundRobin } from '../support/roundRobin.js';
import { differences, passed, runSuite, type SuiteResults } from './suite.js';

/** What no server made with McpServer passes, whatever its transport: its schemas are draft-07. */
const beyondTheSdk = 'json-schema-2020-12';

jest.setTimeout(120_000);

let redis: RedisServer;
let stock: SuiteResults;

beforeAll(async () => {
  redis = await startRedisServer();
  stock = await runAgainst(1, '--impl', 'stock');
});

afterAll(() => redis.stop());

test('the stock SDK in one process passes all scenarios but the one that is beyond its McpServer', () => {
  expect(stock.size).toBe(32);
  const failed = [...stock.keys()].filter(scenario => !passed(stock).includes(scenario));
  expect(failed).toEqual([beyondTheSdk]);
});

test('one pod in memory mode does in every check what the stock SDK does', async () => {
  const results = await runAgainst(1, '--impl', 'anypod', '--mode', 'memory');
  expect(differences(results, stock)).toEqual([]);
});

test('one pod with its sessions in Redis does in every check what the stock SDK does', async () => {
  const results = await runAgainst(1, ...inRedis('conformance:one:'));
  expect(differences(results, stock)).toEqual([]);
});

test.each([2, 3])('%i pods in turn do what one stock process does', async count => {
  const results = await runAgainst(count, ...inRedis(`conformance:${count}:`));
  expect(differences(results, stock)).toEqual([]);
});

test('three stock processes in turn pass nothing but the scenario that opens no session', async () => {
  const results = await runAgainst(3, '--impl', 'stock');
  expect(passed(results)).toEqual(['dns-rebinding-protection']);
});

function inRedis(keyPrefix: string): string[] {
  return ['--impl', 'anypod', '--mode', 'external', '--redis', redis.url, '--key-prefix', keyPrefix];
}

/** Runs the suite against so many pods, behind a round robin if there are several. */
async function runAgainst(count: number, ...flags: string[]): Promise<SuiteResults> {
  const pods = await startPods(count, 'test/conformance/pod.ts', flags);
  const roundRobin = await startRoundRobin(pods.map(pod => pod.port));
  const [only] = count === 1 ? pods : [];
  try {
    return await runSuite(`${(only ?? roundRobin).origin}/mcp`);
  } finally {
    await roundRobin.stop();
    const exits = await Promise.all(pods.map(pod => pod.stop()));
    expect(exits).toEqual(pods.map(() => 0));
  }
}
