import { type Balancer, startHaproxy } from '../../balancers/balancer.js';
import { commandsIn, installRuntimes } from '../../runtimes/runtimes.js';
import { PostgresPools } from '../../support/servers/postgresPools.js';
import type { PodConfiguration } from '../processes/pod.js';
import { withRedis } from '../redis.js';
import type { BenchOptions, Findings, Scenario } from '../scenario.js';
import { ratio } from '../statistics.js';
import { interleave, LOAD, Subject, type Surroundings, withSubjects } from '../subjects.js';

interface Compared {
  measure: string;
  method: string;
  /** What the package keeps its sessions in. */
  config: PodConfiguration;
  around?: Surroundings;
}

/** The stock SDK in memory and this package, both in the same surroundings. */
function compare({ measure, method, config, around }: Compared, options: BenchOptions): Promise<Findings> {
  const subjects = [
    Subject.start('stock, in memory', { subject: 'stock' }, around),
    Subject.start(`anypod, on ${config.subject}`, config, around)
  ];
  return withSubjects(subjects, async (stock, ours) => {
    await interleave([stock, ours], options);
    const row = { measure, unit: 'x', method: `${LOAD}; SSE answers; ${method}`, ...ratio(ours.rates, stock.rates) };
    return { rows: [row], details: [stock.detail(), ours.detail()] };
  });
}

const postgres: Scenario = {
  name: 'postgres',
  title: 'requests/s on Postgres',
  async run(options) {
    const pools = await PostgresPools.start();
    try {
      const { url } = pools.server;
      await pools.migrate();
      const measure = 'requests/s on Postgres, to the SDK in memory';
      return await compare(
        { measure, method: 'a pool of 10 connections', config: { subject: 'postgres', postgres: url } },
        options
      );
    } finally {
      await pools.stop();
    }
  }
};

const haproxy: Scenario = {
  name: 'haproxy',
  title: 'requests/s through haproxy',
  run: options =>
    withRedis(async redis => {
      const balancers: Balancer[] = [];
      const front = async (origins: readonly string[]): Promise<string> => {
        const balancer = await startHaproxy(origins.map(origin => Number(new URL(origin).port)));
        balancers.push(balancer);
        return balancer.origin;
      };
      try {
        const measure = 'requests/s behind haproxy, on Redis, to the SDK in memory';
        const method = 'each pod behind a haproxy of its own';
        return await compare({ measure, method, config: { subject: 'redis', redis }, around: { front } }, options);
      } finally {
        await Promise.all(balancers.map(balancer => balancer.stop()));
      }
    })
};

/** Installs other versions of Node, so it runs only if other packages are wanted. */
function onNode(version: '22' | '24'): Scenario {
  return {
    name: `node${version}`,
    title: `requests/s on Node ${version}, with --peers`,
    async run(options) {
      if (!options.peers) return { rows: [] };
      const [node] = commandsIn(await installRuntimes())[`Node ${version}`];
      const measure = `requests/s on Node ${version}, on Redis, to the SDK in memory`;
      const method = `both on Node ${version}`;
      return withRedis(redis =>
        compare({ measure, method, config: { subject: 'redis', redis }, around: { node } }, options)
      );
    }
  };
}

/** The main row with another backend, behind a balancer, and on other versions of Node. */
export const surroundings: readonly Scenario[] = [postgres, haproxy, onNode('22'), onNode('24')];
