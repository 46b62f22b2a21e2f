import { withRedis } from '../redis.js';
import type { HeapConfiguration } from '../processes/heap.js';
import type { Detail, Row, Scenario } from '../scenario.js';
import { summarize } from '../statistics.js';
import { Worker } from '../worker.js';

const SUBJECTS: { subject: HeapConfiguration['subject']; measure: string; goal?: Row['goal'] }[] = [
  { subject: 'redis', measure: 'heap of a live session, on Redis', goal: { atMost: 3 } },
  { subject: 'memory', measure: 'heap of a live session, in memory', goal: { atMost: 3 } },
  { subject: 'redis-McpServer', measure: 'heap of a live session with an McpServer, on Redis' },
  { subject: 'stock-McpServer', measure: 'heap of a live session with an McpServer, stock' }
];

export const heap: Scenario = {
  name: 'heap',
  title: 'heap of a live session',
  run: ({ quick }) =>
    withRedis(async redis => {
      const count = quick ? 300 : 10_000;
      const rows: Row[] = [];
      const details: Detail[] = [];
      for (const { subject, measure, goal } of quick ? SUBJECTS.slice(0, 2) : SUBJECTS) {
        const bytes: number[] = [];
        for (let run = 0; run < (goal && !quick ? 2 : 1); run++) bytes.push(await measureOnce(subject, redis, count));
        const what = subject.includes('McpServer')
          ? 'an McpServer with one tool'
          : 'a server of one field that answers the handshake';
        const method = `heapUsed after collecting, for each of ${count} sessions opened by a handshake, with ${what}`;
        rows.push({
          measure,
          unit: 'KiB',
          method,
          ...(goal && { goal }),
          ...summarize(bytes.map(each => each / 1024))
        });
        details.push({ subject: measure, 'bytes a session': bytes.map(Math.round).join(' ') });
      }
      return { rows, details };
    })
};

/** In a process of its own: what another one left behind is not measured. */
async function measureOnce(subject: HeapConfiguration['subject'], redis: string, count: number): Promise<number> {
  const worker = await Worker.start('heap', { subject, redis } satisfies HeapConfiguration, ['--expose-gc']);
  try {
    return await worker.call<number>('measure', { count });
  } finally {
    await worker.stop();
  }
}
