import { withRedis } from '../redis.js';
import type { Row, Scenario } from '../scenario.js';
import { ratio } from '../statistics.js';
import { interleave, LOAD, Subject, withSubjects } from '../subjects.js';

function row(measure: string, method: string, ours: Subject, other: Subject, atLeast: number): Row {
  return {
    measure,
    unit: 'x',
    method: `${LOAD}; SSE answers; ${method}`,
    goal: { atLeast },
    ...ratio(ours.rates, other.rates)
  };
}

/** What it costs that clients can resume the streams of their requests. */
export const resumable: Scenario = {
  name: 'resumable',
  title: 'requests/s with an event store',
  run: options =>
    withRedis(redis => {
      const subjects = [
        Subject.start('stock with its event store, in memory', { subject: 'stock', events: true }),
        Subject.start('anypod, on Redis', { subject: 'redis', redis }),
        Subject.start('anypod with RedisEventStore', { subject: 'redis', redis, events: true })
      ];
      return withSubjects(subjects, async (stock, plain, logged) => {
        await interleave([stock, plain, logged], options);
        const rows = [
          row(
            'requests/s with an event store, on Redis to stock in memory',
            'RedisEventStore to stock',
            logged,
            stock,
            2.8
          ),
          row('requests/s on Redis with an event store to without', 'RedisEventStore to none', logged, plain, 0.75)
        ];
        return { rows, details: [stock, plain, logged].map(subject => subject.detail()) };
      });
    })
};

/** What is gained if sessions are served without waiting for the store. */
export const trust: Scenario = {
  name: 'trust',
  title: 'requests/s with sessionFreshnessMs: 1000',
  run: options =>
    withRedis(redis => {
      const subjects = [
        Subject.start('anypod, in memory', { subject: 'memory' }),
        Subject.start('anypod, on Redis', { subject: 'redis', redis }),
        Subject.start('anypod, on Redis, sessionFreshnessMs: 1000', {
          subject: 'redis',
          redis,
          sessionFreshnessMs: 1000
        })
      ];
      return withSubjects(subjects, async (memory, asking, trusting) => {
        await interleave([memory, asking, trusting], options);
        const rows = [
          row(
            'requests/s, sessionFreshnessMs: 1000, to our memory mode',
            'trusting to in memory',
            trusting,
            memory,
            0.95
          ),
          row('requests/s, asking Redis each time, to our memory mode', 'asking to in memory', asking, memory, 0.88)
        ];
        return { rows, details: [memory, asking, trusting].map(subject => subject.detail()) };
      });
    })
};
