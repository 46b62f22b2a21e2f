import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { AttachedConfiguration } from '../processes/attached.js';
import { withRedis } from '../redis.js';
import type { Row, Scenario } from '../scenario.js';
import { summarize } from '../statistics.js';
import { Worker } from '../worker.js';

/** In this time a pod has refreshed each session, and kept each stream alive. */
const REST_SECONDS = 45;
/** In this time a pod has refreshed each session for the first time. */
const SETTLING_SECONDS = 25;

interface Held {
  bytes: number;
  /** Of a core. */
  cpu: number;
  commandsPerSecond: number;
}

/** What clients cost that do nothing but hold their GET stream. */
export const attached: Scenario = {
  name: 'attached',
  title: 'sessions that only hold a stream',
  run: ({ quick }) =>
    withRedis(async redis => {
      const count = quick ? 1000 : 15_000;
      const [ours, bare] = [await measure('redis', redis, count), await measure('bare', redis, count)];
      const row = (measure: string, unit: string, method: string, value: number, goal?: Row['goal']): Row => ({
        measure,
        unit,
        method,
        ...(goal && { goal }),
        ...summarize([value])
      });
      const each = `${count} sessions that were opened by a handshake, each with a GET stream and nothing else, on Redis`;
      const rest = `over ${REST_SECONDS} s without a message, with a comment on each stream every 15 s`;
      return {
        rows: [
          row(
            'heap of a session that holds a stream, beyond a stream of node:http',
            'KiB',
            `heapUsed after collecting, for each of ${each}, less that of an open response of node:http with a timer`,
            (ours.bytes - bare.bytes) / 1024,
            { atMost: 6 }
          ),
          row(
            'CPU at rest, for 20,000 streams',
            '%',
            `of a core, ${rest}, for each of ${each}, times 20,000`,
            (ours.cpu * 100 * 20_000) / count,
            { atMost: 5 }
          ),
          row(
            'Redis commands a second at rest, for 10,000 sessions',
            '',
            `${rest}, for each of ${each}, times 10,000`,
            (ours.commandsPerSecond * 10_000) / count,
            { atMost: 50 }
          )
        ],
        details: [detailOf('anypod, on Redis', ours), detailOf('bare node:http', bare)]
      };
    })
};

async function measure(subject: AttachedConfiguration['subject'], redis: string, count: number): Promise<Held> {
  const admin = new Redis(redis);
  const [pod, holder] = await Promise.all([
    Worker.start('attached', { subject, redis } satisfies AttachedConfiguration, ['--expose-gc']),
    Worker.start('holder')
  ]);
  try {
    const origin = await pod.call<string>('origin');
    const isBare = subject === 'bare';
    // Code, and what is made once, is there before.
    await holder.call('hold', { origin, count: 200, isBare });
    const before = await pod.call<number>('heap');
    await holder.call('hold', { origin, count, isBare });
    const bytes = ((await pod.call<number>('heap')) - before) / count;
    await delay(SETTLING_SECONDS * 1000);
    const [cpuBefore, commandsBefore] = [await pod.call<number>('cpu'), await commandsOf(admin)];
    await delay(REST_SECONDS * 1000);
    const cpu = ((await pod.call<number>('cpu')) - cpuBefore) / 1e6 / REST_SECONDS;
    const commandsPerSecond = ((await commandsOf(admin)) - commandsBefore) / REST_SECONDS;
    return { bytes, cpu, commandsPerSecond };
  } finally {
    admin.disconnect();
    await Promise.all([pod.stop(), holder.stop()]);
  }
}

async function commandsOf(redis: Redis): Promise<number> {
  return Number(/total_commands_processed:(\d+)/.exec(await redis.info('stats'))?.[1]);
}

function detailOf(subject: string, { bytes, cpu, commandsPerSecond }: Held): Record<string, string | number> {
  return {
    subject,
    'bytes a stream': Math.round(bytes),
    'CPU at rest, % of a core': (cpu * 100).toFixed(2),
    'Redis commands/s': commandsPerSecond.toFixed(1)
  };
}
