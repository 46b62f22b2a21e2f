import { PostgresServer } from '../support/servers/postgresServer.js';
import { startPods } from '../support/pods/process.js';
import { startRedisServer, type RedisServer } from '../support/servers/redisServer.js';
import { startRoundRobin } from '../support/servers/roundRobin.js';
import { differences, passed, runSuite, type SuiteLine, type SuiteResults } from './suite.js';

/** What no server made with McpServer passes, whatever its transport: its schemas are draft-07. */
const beyondTheSdk = 'json-schema-2020-12';

/** How often the pods are judged: once in a hurry, ten times before a release. */
const rounds = Number(process.env.CONFORMANCE_ROUNDS ?? 1);

jest.setTimeout(120_000 * rounds);

let redis: RedisServer;
let postgres: PostgresServer;
beforeAll(async () => {
  [redis, postgres] = await Promise.all([startRedisServer(), PostgresServer.create()]);
});
afterAll(() => Promise.all([redis.stop(), postgres.destroy()]));

describe.each<[SuiteLine, scenarios: number, withoutSession: string[]]>([
  ['released', 32, ['dns-rebinding-protection']],
  ['next', 33, []]
])('the %s line of the official suite', (line, scenarios, withoutSession) => {
  let stock: SuiteResults;
  beforeAll(async () => void (stock = await runAgainst(line, 1, '--impl', 'stock')));

  test('the stock SDK in one process passes all scenarios but one, which McpServer cannot pass', () => {
    expect(stock.size).toBe(scenarios);
    const failed = [...stock.keys()].filter(scenario => !passed(stock).includes(scenario));
    expect(failed).toEqual([beyondTheSdk]);
  });

  test('one pod in memory mode does in every check what the stock SDK does', async () => {
    const results = await runAgainst(line, 1, '--impl', 'anypod');
    expect(differences(results, stock)).toEqual([]);
  });

  test('one pod with its sessions in Redis does in every check what the stock SDK does', async () => {
    const results = await runAgainst(line, 1, ...inRedis(`${line}:one:`));
    expect(differences(results, stock)).toEqual([]);
  });

  test.each([2, 3])('%i pods in turn do what one stock process does', async count => {
    for (let round = 1; round <= rounds; round++) {
      const results = await runAgainst(line, count, ...inRedis(`${line}:${count}:${round}:`));
      expect(differences(results, stock)).toEqual([]);
    }
  });

  test('three pods in turn with their sessions in Postgres do what one stock process does', async () => {
    const results = await runAgainst(line, 3, '--impl', 'anypod', '--postgres', postgres.url);
    expect(differences(results, stock)).toEqual([]);
  });

  test('three stock processes in turn pass only the scenarios that open no session', async () => {
    const results = await runAgainst(line, 3, '--impl', 'stock');
    expect(passed(results)).toEqual(withoutSession);
  });
});

function inRedis(keyPrefix: string): string[] {
  return ['--impl', 'anypod', '--redis', redis.url, '--key-prefix', keyPrefix];
}

/** Runs the suite against so many pods, behind a round robin if there are several. */
async function runAgainst(line: SuiteLine, count: number, ...flags: string[]): Promise<SuiteResults> {
  const pods = await startPods(count, 'test/conformance/pod.ts', flags);
  const roundRobin = await startRoundRobin(pods.map(pod => pod.port));
  const [only] = count === 1 ? pods : [];
  try {
    return await runSuite(line, `${(only ?? roundRobin).origin}/mcp`);
  } finally {
    await roundRobin.stop();
    const exits = await Promise.all(pods.map(pod => pod.stop()));
    expect(exits).toEqual(pods.map(() => 0));
  }
}
