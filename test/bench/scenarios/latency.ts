import { withRedis } from '../redis.js';
import type { Scenario } from '../scenario.js';
import { ratio } from '../statistics.js';
import { interleave, Subject, withSubjects } from '../subjects.js';

const RATE = 1000;

/** What a client waits when the server is not at its limit. */
export const openLoop: Scenario = {
  name: 'latency',
  title: `p99 at ${RATE} requests/s, open loop`,
  run: options =>
    withRedis(redis => {
      const subjects = [
        Subject.start('stock, in memory', { subject: 'stock' }),
        Subject.start('anypod, on Redis', { subject: 'redis', redis })
      ];
      return withSubjects(subjects, async (stock, ours) => {
        await interleave([stock, ours], options, RATE);
        const row = {
          measure: `p99 at ${RATE} requests/s, on Redis to stock in memory`,
          unit: 'x',
          method:
            'requests leave at even times whether or not the server keeps up; waiting for one of the 32 connections counts',
          goal: { atMost: 0.8 },
          ...ratio(ours.p99s, stock.p99s)
        };
        return { rows: [row], details: [stock.detail(), ours.detail()] };
      });
    })
};
