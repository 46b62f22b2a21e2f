import type { PodConfiguration } from '../processes/pod.js';
import { withRedis } from '../redis.js';
import type { Row, Scenario } from '../scenario.js';
import { ratio } from '../statistics.js';
import { CONNECTIONS, interleave, Subject, withSubjects } from '../subjects.js';

const LOAD = `requests/s of an echo tool, ${CONNECTIONS} keep-alive connections, on Redis`;

/** What it costs when somebody listens. */
export const observability: Scenario = {
  name: 'observability',
  title: 'requests/s with metrics, and with metrics and spans, to nobody listening',
  run: options =>
    withRedis(redis => {
      const start = (name: string, observe?: PodConfiguration['observe']): Promise<Subject> =>
        Subject.start(name, { subject: 'redis', redis, observe });
      const subjects = [start('nobody listens'), start('metrics', 'metrics'), start('metrics and spans', 'spans')];
      return withSubjects(subjects, async (nobody, metrics, spans) => {
        await interleave([nobody, metrics, spans], options);
        const row = (measure: string, subject: Subject, atLeast: number): Row => ({
          measure,
          unit: 'x',
          method: `${LOAD}; OpenTelemetry in the pod, to a pod in which nobody listens`,
          goal: { atLeast },
          ...ratio(subject.rates, nobody.rates)
        });
        const rows = [
          row('requests/s with metrics, to nobody listening', metrics, 0.92),
          row('requests/s with metrics and 1 % of the spans, to nobody listening', spans, 0.88)
        ];
        return { rows, details: [nobody.detail(), metrics.detail(), spans.detail()] };
      });
    })
};
