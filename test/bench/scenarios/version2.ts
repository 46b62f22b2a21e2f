import type { Version2Configuration } from '../processes/version2.js';
import { withRedis } from '../redis.js';
import type { Row, Scenario } from '../scenario.js';
import { ratio } from '../statistics.js';
import { cpuRow, interleave, LOAD, Subject, withSubjects } from '../subjects.js';

const start = (name: string, config: Version2Configuration): Promise<Subject> =>
  Subject.start(name, config, { process: 'version2' });

/** Compares the rates of a subject of ours with those of one of the SDK's. */
function row(ours: Subject, theirs: Subject, goal?: Row['goal']): Row {
  const measure = `requests/s, version 2, ${ours.name} to ${theirs.name}`;
  const method = `${LOAD}; protocol 2025-11-25, SSE answers; ${ours.name} to ${theirs.name}`;
  return { measure, unit: 'x', method, ...(goal && { goal }), ...ratio(ours.rates, theirs.rates) };
}

/** 2025 clients of version 2 of the SDK: with a map of transports, with its stateless fallback, and with our sessions. */
export const version2: Scenario = {
  name: 'v2',
  title: 'requests/s of 2025 clients on version 2 of the SDK: its transport, its stateless fallback, ours',
  run: options =>
    withRedis(redis => {
      const subjects = [
        start("the SDK's stateless fallback", { subject: 'stateless' }),
        start("the SDK's transport in memory", { subject: 'stock' }),
        start('anypod in memory', { subject: 'memory' }),
        start('anypod on Redis', { subject: 'redis', redis })
      ];
      return withSubjects(subjects, async (stateless, stock, memory, ours) => {
        await interleave([stateless, stock, memory, ours], options);
        const rows = [
          row(ours, stock, { atLeast: 2.5 }),
          row(ours, stateless, { atLeast: 3 }),
          row(memory, stock),
          cpuRow('version 2, ', stock, ours)
        ];
        return { rows, details: [stateless, stock, memory, ours].map(subject => subject.detail()) };
      });
    })
};
