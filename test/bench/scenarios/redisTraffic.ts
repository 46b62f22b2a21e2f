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
  title: 'commands and bytes of Redis for each exchange',
  run: ({ quick, rounds, seconds }) =>
    withRedis(async redis => {
      const load = await Worker.start('load');
      const admin = new Redis(redis);
      try {
        const starting = [Subject.start('anypod, on Redis', { subject: 'redis', redis })];
        return await withSubjects(starting, async subject => {
          const traffic: Traffic[] = [];
          const commands = new Map<string, number>();
          for (let round = 0; round <= rounds; round++) {
            await admin.config('RESETSTAT');
            await subject.measure(load, 'closed', { connections: CONNECTIONS, seconds, amount: quick ? 640 : 16_000 });
            const info = await admin.info('all');
            const { requests } = subject.rounds.at(-1)!;
            if (round === 0) continue;
            traffic.push(trafficOf(info, requests));
            for (const [name, calls] of commandsOf(info)) commands.set(name, (commands.get(name) ?? 0) + calls);
          }
          const rowOf = (measure: string, unit: string, key: keyof Traffic, atMost?: number): Row => ({
            measure,
            unit,
            method:
              'what INFO of Redis counts over a round of tool calls, divided by the calls; 32 sessions that do not change, ioredis with enableAutoPipelining',
            ...(atMost !== undefined && { goal: { atMost } }),
            ...summarize(traffic.map(each => each[key]))
          });
          const details: Detail[] = [...commands].map(([command, calls]) => ({ command, calls }));
          return {
            rows: [
              rowOf('Redis commands for each exchange', '', 'commands', 1),
              rowOf('bytes to Redis for each exchange', 'B', 'bytesIn', 200),
              rowOf('bytes from Redis for each exchange', 'B', 'bytesOut', 200),
              rowOf('reads of Redis from its sockets for each exchange', '', 'reads')
            ],
            details
          };
        });
      } finally {
        admin.disconnect();
        await load.stop();
      }
    })
};

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
