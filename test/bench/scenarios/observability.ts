import type { PodConfiguration } from '../processes/pod.js';
import { withRedis } from '../redis.js';
import type { Row, Scenario } from '../scenario.js';
import { ratio } from '../statistics.js';
import { CONNECTIONS, interleave, Subject, type Surroundings, withSubjects } from '../subjects.js';

const LOAD = `requests/s of an echo tool, ${CONNECTIONS} keep-alive connections, on Redis`;

/** What it costs when somebody listens, and when nobody does. */
export const observability: Scenario = {
  name: 'observability',
  title: 'requests/s with metrics, with metrics and spans, and without channels, to nobody listening',
  run: options =>
    withRedis(redis => {
      const start = (
        name: string,
        observe?: PodConfiguration['observe'],
        process: Surroundings['process'] = 'bundledPod'
      ): Promise<Subject> => Subject.start(name, { subject: 'redis', redis, observe }, { process });
      const subjects = [
        start('no channels', undefined, 'silentPod'),
        start('nobody listens'),
        start('metrics', 'metrics'),
        start('metrics and spans', 'spans')
      ];
      return withSubjects(subjects, async (silent, nobody, metrics, spans) => {
        await interleave([silent, nobody, metrics, spans], options);
        const row = (measure: string, subject: Subject, atLeast: number, to = nobody): Row => ({
          measure,
          unit: 'x',
          method: `${LOAD}; ${subject === nobody ? 'to a build whose channels do nothing' : 'OpenTelemetry in the pod, to a pod in which nobody listens'}`,
          goal: { atLeast },
          ...ratio(subject.rates, to.rates)
        });
        const rows = [
          row('requests/s with nobody listening, to a build without channels', nobody, 0.99, silent),
          row('requests/s with metrics, to nobody listening', metrics, 0.92),
          row('requests/s with metrics and 1 % of the spans, to nobody listening', spans, 0.88)
        ];
        return { rows, details: [silent, nobody, metrics, spans].map(subject => subject.detail()) };
      });
    })
};
