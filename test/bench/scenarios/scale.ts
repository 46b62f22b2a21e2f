import { withRedis } from '../redis.js';
import type { Row, Scenario } from '../scenario.js';
import { ratio } from '../statistics.js';
import { CONNECTIONS, interleave, Subject, withSubjects } from '../subjects.js';
import { Worker } from '../worker.js';

/** Whether sessions that nobody uses cost those that are used. */
export const manySessions: Scenario = {
  name: 'sessions',
  title: 'throughput with many sessions in Redis, of which few are active',
  run: options =>
    withRedis(few =>
      withRedis(async many => {
        const [all, active] = options.quick ? [3000, 64] : [200_000, 2000];
        const worker = await Worker.start('fill', { redis: many });
        await worker.call('store', { count: all - active });
        await worker.stop();
        const shape = { pods: 2, sessions: active };
        const subjects = [
          Subject.start(`${active} sessions in all, 2 pods`, { subject: 'redis', redis: few }, shape),
          Subject.start(`${active} of ${all} sessions, 2 pods`, { subject: 'redis', redis: many }, shape)
        ];
        return await withSubjects(subjects, async (small, large) => {
          await interleave([small, large], options);
          const row: Row = {
            measure: `requests/s with ${all} sessions, ${active} of them active, to ${active} in all`,
            unit: 'x',
            method: `${CONNECTIONS} connections over 2 pods, each request of the next of ${active} sessions, which are live on both; two Redis servers`,
            goal: { atLeast: 0.95 },
            ...ratio(large.rates, small.rates)
          };
          return { rows: [row], details: [small.detail(), large.detail()] };
        });
      })
    )
};

/** Requests per second that each pod gets, however many there are. */
const RATE_OF_A_POD = 300;

/** Whether a request costs the same however many pods share the work. */
export const pods: Scenario = {
  name: 'pods',
  title: 'requests/s of 1, 2 and 4 pods, and their CPU for each request',
  run: options =>
    withRedis(redis => {
      const starting = [1, 2, 4].map(count =>
        Subject.start(count === 1 ? '1 pod' : `${count} pods`, { subject: 'redis', redis }, { pods: count })
      );
      return withSubjects(starting, async (...subjects) => {
        // First as much as they take: at the rate alone a pod would take long to be warm.
        await interleave(subjects, options);
        const atMost = subjects.map(subject => ({ load: 'all it takes', ...subject.detail() }));
        for (const subject of subjects) subject.rounds.length = 0;
        await interleave(subjects, options, RATE_OF_A_POD);
        const [one, ...several] = subjects;
        const rows = several.map((subject): Row => ({
          measure: `CPU of a request, ${subject.name} to one`,
          unit: 'x',
          method: `process.cpuUsage of all pods for each request, ${RATE_OF_A_POD} requests/s for each pod, every session on every pod, one Redis`,
          goal: { atMost: 1.1 },
          ...ratio(subject.cpuPerRequest, one!.cpuPerRequest)
        }));
        const atRate = subjects.map(subject => ({ load: `${RATE_OF_A_POD}/s a pod`, ...subject.detail() }));
        return { rows, details: [...atMost, ...atRate] };
      });
    })
};
