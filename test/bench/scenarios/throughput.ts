import type { PodConfiguration } from '../processes/pod.js';
import type { BenchOptions, Findings, Row, Scenario } from '../scenario.js';
import { ratio } from '../statistics.js';
import { cpuRow, interleave, LOAD, Subject, withSubjects } from '../subjects.js';
import { installPeers } from '../peers.js';
import { withRedis } from '../redis.js';

interface Way {
  name: string;
  title: string;
  measure: string;
  atLeast: number;
  config: Omit<PodConfiguration, 'subject' | 'redis'>;
  /** How the body comes to the transport. */
  host: string;
}

/** Requests per second on Redis against the stock SDK in memory, where the same host stands before both. */
function againstStock({ name, title, measure, atLeast, config, host }: Way): Scenario {
  return {
    name,
    title,
    run: options =>
      withRedis(redis => {
        const subjects = [
          Subject.start('stock, in memory', { ...config, subject: 'stock' }),
          Subject.start('anypod, on Redis', { ...config, subject: 'redis', redis })
        ];
        return withSubjects(subjects, async (stock, ours) => {
          await interleave([stock, ours], options);
          const method = `${LOAD}; ${host}; ours on Redis to stock in memory`;
          const row: Row = { measure, unit: 'x', method, goal: { atLeast }, ...ratio(ours.rates, stock.rates) };
          return { rows: [row, cpuRow(`${name}, `, stock, ours)], details: [stock.detail(), ours.detail()] };
        });
      })
  };
}

/** The main row, with everything that it is compared with: what load and HTTP give at most, our memory mode, peers. */
const sse: Scenario = {
  name: 'sse',
  title: 'requests/s, SSE answers on plain node:http; memory mode; p99; the load generator and HTTP alone; peers',
  run: options =>
    withRedis(async redis => {
      const peers = await startPeers(options, redis);
      try {
        const subjects = [
          Subject.start('node:http with a constant answer', { subject: 'ceiling' }),
          Subject.start('stock, in memory', { subject: 'stock' }),
          Subject.start('anypod, in memory', { subject: 'memory' }),
          Subject.start('anypod, on Redis', { subject: 'redis', redis }),
          ...peers.starting
        ];
        return await withSubjects(subjects, async (ceiling, stock, memory, ours, ...others) => {
          await interleave([ceiling, stock, memory, ours, ...others], options);
          const rows = sseRows(stock, memory, ours, ceiling);
          for (const peer of others) {
            const method = `${LOAD}; ours on Redis to ${peer.name}`;
            rows.push({ measure: `requests/s to ${peer.name}`, unit: 'x', method, ...ratio(ours.rates, peer.rates) });
          }
          const all = [ceiling, stock, memory, ours, ...others];
          return { rows, details: [...all.map(subject => subject.detail()), ...peers.missing] };
        });
      } finally {
        await peers.remove();
      }
    })
};

function sseRows(stock: Subject, memory: Subject, ours: Subject, ceiling: Subject): Row[] {
  return [
    {
      measure: 'requests/s, SSE, on Redis to stock in memory',
      unit: 'x',
      method: `${LOAD}; the transport reads the body; ours on Redis to stock in memory`,
      goal: { atLeast: 4 },
      ...ratio(ours.rates, stock.rates)
    },
    {
      measure: 'requests/s, SSE, in memory to stock in memory',
      unit: 'x',
      method: `${LOAD}; ours without a store to stock`,
      goal: { atLeast: 4.5 },
      ...ratio(memory.rates, stock.rates)
    },
    {
      measure: 'p99, closed loop, on Redis to stock in memory',
      unit: 'x',
      method: 'latency that 99 % of the same requests stay under, ours to stock: each under the most load it takes',
      goal: { atMost: 0.4 },
      ...ratio(ours.p99s, stock.p99s)
    },
    {
      measure: 'requests/s, on Redis to our memory mode',
      unit: 'x',
      method: `${LOAD}; ours on Redis to ours without a store`,
      goal: { atLeast: 0.85 },
      ...ratio(ours.rates, memory.rates)
    },
    cpuRow('', stock, ours),
    {
      measure: 'requests/s, node:http with a constant answer to ours on Redis',
      unit: 'x',
      method:
        'the same load on a server that reads the body and answers a constant: well over 1 where the load generator is not what is measured',
      ...ratio(ceiling.rates, ours.rates)
    }
  ];
}

async function startPeers(
  { peers }: BenchOptions,
  redisUrl: string
): Promise<{ starting: Promise<Subject>[]; missing: NonNullable<Findings['details']>; remove: () => Promise<void> }> {
  if (!peers) return { starting: [], missing: [], remove: async () => {} };
  const installed = await installPeers();
  if (installed.problem !== undefined) {
    return {
      starting: [],
      missing: [{ subject: `tmcp: not installed (${installed.problem})` }],
      remove: installed.remove
    };
  }
  const config: PodConfiguration = { subject: 'tmcp', peers: installed.directory };
  const starting = [
    Subject.start(`${installed.version}, in memory`, config),
    Subject.start(`${installed.version}, on Redis`, { ...config, redis: redisUrl })
  ];
  return { starting, missing: [], remove: installed.remove };
}

export const throughput: Scenario[] = [
  sse,
  againstStock({
    name: 'json',
    title: 'requests/s with enableJsonResponse',
    measure: 'requests/s, enableJsonResponse, on Redis to stock in memory',
    atLeast: 4,
    config: { json: true },
    host: 'both with enableJsonResponse'
  }),
  againstStock({
    name: 'parsed',
    title: 'requests/s where the host has parsed the body',
    measure: 'requests/s, body parsed by the host, on Redis to stock in memory',
    atLeast: 2.3,
    config: { host: 'parsed' },
    host: 'both given the body that the host read and JSON.parsed'
  }),
  againstStock({
    name: 'express',
    title: 'requests/s behind Express 5 with express.json()',
    measure: 'requests/s, behind Express 5, on Redis to stock in memory',
    atLeast: 1.7,
    config: { host: 'express' },
    host: 'both behind Express 5 with express.json()'
  }),
  againstStock({
    name: 'hono',
    title: "requests/s of the web-standard adapter behind Hono's Node server",
    measure: "requests/s, web-standard behind Hono's Node server, on Redis to stock in memory",
    atLeast: 2,
    config: { host: 'hono' },
    host: "both behind Hono's Node server"
  })
];
