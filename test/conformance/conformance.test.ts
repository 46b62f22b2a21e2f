import { startPods } from '../support/pods/process.js';
import { useRedisAndPostgres } from '../support/servers/useRedisAndPostgres.js';
import { startRoundRobin } from '../support/servers/roundRobin.js';
import { differences, passed, runSuite, type SuiteLine, type SuiteResults } from './suite.js';

/** How often the pods are judged: once in a hurry, ten times before a release. */
const rounds = Number(process.env.CONFORMANCE_ROUNDS ?? 1);

jest.setTimeout(120_000 * rounds);

const servers = useRedisAndPostgres();

interface Row {
  /** The version of the SDK. */
  sdk: '1' | '2';
  line: SuiteLine;
  /** How many there are. */
  scenarios: number;
  /** What no server made with McpServer passes, whatever its transport: the schemas of version 1 are draft-07. */
  failed: string[];
  /** Those that pass on three stock processes in turn. */
  passedByThree: (all: string[]) => string[];
}

/** The state of a tool, sealed with the key of another process. */
const withState = ['multi-round', 'multiple-input-requests', 'request-state'].map(
  name => `input-required-result-${name}`
);
const exceptWithState = (all: string[]): string[] => all.filter(scenario => !withState.includes(scenario));

const draft07 = ['json-schema-2020-12'];
const rows: Row[] = [
  { sdk: '1', line: 'released', scenarios: 32, failed: draft07, passedByThree: () => ['dns-rebinding-protection'] },
  { sdk: '1', line: 'next', scenarios: 33, failed: draft07, passedByThree: () => [] },
  { sdk: '2', line: 'next', scenarios: 33, failed: [], passedByThree: () => [] },
  { sdk: '2', line: '2026-07-28', scenarios: 40, failed: [], passedByThree: exceptWithState }
];

const podCounts: [string, number][] = [
  ['one pod', 1],
  ['two pods in turn', 2],
  ['three pods in turn', 3]
];

describe.each(rows)(
  'version $sdk of the SDK, the $line line of the official suite',
  ({ sdk, line, scenarios, failed, passedByThree }) => {
    const stockFlags = ['--sdk', sdk, '--impl', 'stock'];
    const flags = ['--sdk', sdk, '--impl', 'anypod'];
    const redis = (name: string): string[] => ['--redis', servers.redis.url, '--key-prefix', `${sdk}:${line}:${name}:`];
    let stock: SuiteResults;
    beforeAll(async () => void (stock = await runAgainst(line, 1, ...stockFlags)));

    test('the stock SDK in one process passes all scenarios but those that McpServer cannot pass', () => {
      expect(stock.size).toBe(scenarios);
      expect([...stock.keys()].filter(scenario => !passed(stock).includes(scenario))).toEqual(failed);
    });

    test('one pod in memory mode does in every check what the stock SDK does', async () => {
      const results = await runAgainst(line, 1, ...flags);
      expect(differences(results, stock)).toEqual([]);
    });

    test.each(sdk === '1' ? podCounts : podCounts.slice(-1))(
      'every check on %s with the sessions in Redis comes out as on one stock process',
      async (_pods, count) => {
        for (let round = 1; round <= rounds; round++) {
          const results = await runAgainst(line, count, ...flags, ...redis(`${count}:${round}`));
          expect(differences(results, stock)).toEqual([]);
        }
      }
    );

    test('every check on three pods in turn with the sessions in Postgres comes out as on one stock process', async () => {
      const results = await runAgainst(line, 3, ...flags, '--postgres', servers.postgres.url);
      expect(differences(results, stock)).toEqual([]);
    });

    test('three stock processes in turn pass only the scenarios that need nothing of an earlier request', async () => {
      const results = await runAgainst(line, 3, ...stockFlags);
      expect(passed(results)).toEqual(passedByThree([...stock.keys()]));
    });
  }
);

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
