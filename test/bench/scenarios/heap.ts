import { withRedis } from '../redis.js';
import type { HeapConfiguration } from '../processes/heap.js';
import type { HeapVersion2Configuration } from '../processes/heapVersion2.js';
import type { Detail, Row, Scenario } from '../scenario.js';
import { summarize } from '../statistics.js';
import { Worker } from '../worker.js';

const SUBJECTS: { subject: HeapConfiguration['subject']; measure: string; goal?: Row['goal'] }[] = [
  { subject: 'redis', measure: 'heap of a live session, on Redis', goal: { atMost: 3 } },
  { subject: 'memory', measure: 'heap of a live session, in memory', goal: { atMost: 3 } },
  { subject: 'redis-McpServer', measure: 'heap of a live session with an McpServer, on Redis' },
  { subject: 'stock-McpServer', measure: 'heap of a live session with an McpServer, stock' },
  { subject: 'redis-20-tools', measure: 'heap of a live session with 20 tools whose schemas are made once, on Redis' },
  { subject: 'stock-20-tools', measure: 'heap of a live session with 20 tools, stock' }
];

/** These servers take much memory. */
const COUNT_WITH_TOOLS = 1000;
const COUNT_OF_VERSION_2 = 5000;

export const heap: Scenario = {
  name: 'heap',
  title: 'heap of a live session',
  run: ({ quick }) =>
    withRedis(async redis => {
      const count = quick ? 300 : 10_000;
      const rows: Row[] = [];
      const details: Detail[] = [];
      const found = new Map<string, number>();
      for (const { subject, measure, goal } of quick ? SUBJECTS.slice(0, 2) : SUBJECTS) {
        const bytes: number[] = [];
        const wanted = subject.endsWith('tools') ? Math.min(count, COUNT_WITH_TOOLS) : count;
        for (let run = 0; run < (goal && !quick ? 2 : 1); run++) bytes.push(await measureOnce(subject, redis, wanted));
        const method = `heapUsed after collecting, for each of ${wanted} sessions opened by a handshake, with ${serverOf(subject)}`;
        rows.push({
          measure,
          unit: 'KiB',
          method,
          ...(goal && { goal }),
          ...summarize(bytes.map(each => each / 1024))
        });
        found.set(subject, summarize(bytes).median);
        details.push({ subject: measure, 'bytes a session': bytes.map(Math.round).join(' ') });
      }
      if (!quick) rows.push(...(await version2Rows(redis)));
      const [ours, stock] = ['redis-20-tools', 'stock-20-tools'].map(name => found.get(name));
      if (ours !== undefined && stock !== undefined) {
        rows.push({
          measure: 'heap of a live session with 20 tools, to the SDK',
          unit: 'x',
          method: 'the two rows above: schemas and validator are made once in a pod, to servers that make their own',
          goal: { atMost: 0.5 },
          ...summarize([ours / stock])
        });
      }
      return { rows, details };
    })
};

function serverOf(subject: HeapConfiguration['subject']): string {
  if (subject.endsWith('tools')) return 'an McpServer with 20 tools of three parameters';
  if (subject.endsWith('McpServer')) return 'an McpServer with one tool';
  return 'a server of one field that answers the handshake';
}

async function version2Rows(redis: string): Promise<Row[]> {
  const subjects: [HeapVersion2Configuration['subject'], string][] = [
    ['redis', 'heap of a live session with an McpServer of version 2, on Redis'],
    ['stock', 'heap of a live session with an McpServer of version 2, stock']
  ];
  const rows: Row[] = [];
  for (const [subject, measure] of subjects) {
    const worker = await Worker.start('heapVersion2', { subject, redis }, ['--expose-gc']);
    const bytes = await worker.call<number>('measure', { count: COUNT_OF_VERSION_2 }).finally(() => worker.stop());
    const method = `as on version 1, for each of ${COUNT_OF_VERSION_2} sessions of 2025 clients`;
    rows.push({ measure, unit: 'KiB', method, ...summarize([bytes / 1024]) });
  }
  return rows;
}

/** In a process of its own: what another one left behind is not measured. */
async function measureOnce(subject: HeapConfiguration['subject'], redis: string, count: number): Promise<number> {
  const worker = await Worker.start('heap', { subject, redis } satisfies HeapConfiguration, ['--expose-gc']);
  try {
    return await worker.call<number>('measure', { count });
  } finally {
    await worker.stop();
  }
}
