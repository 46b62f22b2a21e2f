import { Redis } from 'ioredis';
import { withRedis } from '../redis.js';
import type { Detail, Row, Scenario } from '../scenario.js';
import { summarize } from '../statistics.js';
import { CONNECTIONS, Subject, withSubjects } from '../subjects.js';
import { Worker } from '../worker.js';

/** What one round has cost Redis, for each exchange. */
interface Traffic {
  commands: number;
  bytesIn: number;
  bytesOut: number;
  reads: number;
}

/** What an exchange of a session that has not changed costs Redis, by Redis's own account. */
export const redisTraffic: Scenario = {
  name: 'traffic',
  title: 'commands and bytes of Redis for each exchange, without and with an event store',
  run: ({ quick, rounds, seconds }) =>
    withRedis(async redis => {
      const load = await Worker.start('load');
      const admin = new Redis(redis);
      try {
        const starting = [
          Subject.start('anypod, on Redis', { subject: 'redis', redis }),
          Subject.start('anypod, on Redis with an event store', { subject: 'redis', redis, events: true })
        ];
        return await withSubjects(starting, async (plain, resumable) => {
          const task = { connections: CONNECTIONS, seconds, amount: quick ? 3200 : 16_000 };
          const of = (subject: Subject): Promise<Measured> => measure(subject, load, admin, task, rounds);
          const [without, with_] = [await of(plain), await of(resumable)];
          const goals = [1.01, 200, 200] as const;
          const rows = [...rowsOf(without.traffic, '', goals), ...rowsOf(with_.traffic, ' with an event store')];
          return { rows, details: [...detailsOf(plain, without), ...detailsOf(resumable, with_)] };
        });
      } finally {
        admin.disconnect();
        await load.stop();
      }
    })
};

interface Measured {
  traffic: Traffic[];
  /** Calls of each command. */
  commands: Map<string, number>;
}

async function measure(
  subject: Subject,
  load: Worker,
  admin: Redis,
  task: Parameters<Subject['measure']>[2],
  rounds: number
): Promise<Measured> {
  const traffic: Traffic[] = [];
  const commands = new Map<string, number>();
  for (let round = 0; round <= rounds; round++) {
    await admin.config('RESETSTAT');
    await subject.measure(load, 'closed', task);
    const info = await admin.info('all');
    const { requests } = subject.rounds.at(-1)!;
    if (round === 0) continue;
    traffic.push(trafficOf(info, requests));
    for (const [name, calls] of commandsOf(info)) commands.set(name, (commands.get(name) ?? 0) + calls);
  }
  return { traffic, commands };
}

/**
 * @param atMost - for commands, bytes to Redis and bytes from it. With an event store they depend on how many requests
 *   share a write of the index, and so on the machine
 */
function rowsOf(traffic: Traffic[], how: string, atMost?: readonly [number, number, number]): Row[] {
  const row = (measure: string, unit: string, key: keyof Traffic, goal?: number): Row => ({
    measure: `${measure} for each exchange${how}`,
    unit,
    method:
      'what INFO of Redis counts over a round of tool calls, divided by the calls; 32 sessions that do not change, ioredis with enableAutoPipelining',
    isCount: atMost !== undefined && key !== 'reads',
    ...(goal !== undefined && { goal: { atMost: goal } }),
    ...summarize(traffic.map(each => each[key]))
  });
  return [
    row('Redis commands', '', 'commands', atMost?.[0]),
    row('bytes to Redis', 'B', 'bytesIn', atMost?.[1]),
    row('bytes from Redis', 'B', 'bytesOut', atMost?.[2]),
    row('reads of Redis from its sockets', '', 'reads')
  ];
}

function detailsOf({ name }: Subject, { commands }: Measured): Detail[] {
  return [...commands].map(([command, calls]) => ({ subject: name, command, calls }));
}

function trafficOf(info: string, exchanges: number): Traffic {
  const total = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1]);
  const commands = commandsOf(info).reduce((sum, [, calls]) => sum + calls, 0);
  return {
    commands: commands / exchanges,
    bytesIn: total('total_net_input_bytes') / exchanges,
    bytesOut: total('total_net_output_bytes') / exchanges,
    reads: total('total_reads_processed') / exchanges
  };
}

function commandsOf(info: string): [command: string, calls: number][] {
  const all = [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(
    ([, name, calls]) => [name!, Number(calls)] as [string, number]
  );
  return all.filter(([name]) => name !== 'config|resetstat' && name !== 'info');
}
