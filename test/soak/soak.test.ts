import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Tally } from './tally.js';

const seconds = Number(process.env.SOAK_SECONDS ?? 8);

interface Result extends Tally {
  seed: number;
  clients: number;
  dead: string[];
  killed: number;
  redis: Record<string, number>;
}

test.each(['1', '2'])(
  'clients of pods with SDK version %s lose nothing that they have a cursor for, and get nothing twice or of others, while pods die and Redis is away',
  async sdk => {
    const env = { ...process.env, SOAK_SECONDS: String(seconds), SOAK_SDK: sdk };
    const run = promisify(execFile)(process.execPath, ['--import', 'tsx', 'test/soak/main.ts'], { env });
    const { stdout } = await run;
    console.log(stdout);
    const result = JSON.parse(stdout.trim().split('\n').at(-1)!) as Result;
    expect(result).toMatchObject({
      lost: 0,
      duplicated: 0,
      foreign: 0,
      notificationsLost: 0,
      notificationsTwice: 0,
      // What is errored was on its way to a pod, or waited there for Redis, when that was killed.
      unexplained: 0,
      dead: []
    });
    const { answered, answeredGone, errored, unavailable } = result;
    expect(result.sent).toBe(answered + answeredGone + errored + unavailable);
    expect(result.killed).toBeGreaterThan(0);
    expect(Object.keys(result.redis)).not.toEqual([]);
    expect(result.answered).toBeGreaterThan(0);
    expect(result.notifications).toBeGreaterThan(0);
  },
  (seconds + 120) * 1000
);
