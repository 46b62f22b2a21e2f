import { withRedis } from '../redis.js';
import type { WebConfiguration, WebResult } from '../processes/web.js';
import type { Detail, Row, Scenario } from '../scenario.js';
import { type Profiled, profilable } from '../profile.js';
import { median, ratio, summarize } from '../statistics.js';
import { Worker } from '../worker.js';

const METHOD =
  'requests/s, SSE, 32 loops in the process of the handler, each makes a Request, awaits its Response and reads it; no HTTP';

/** The web-standard adapter: what it does is all that a process does, for nobody serves HTTP. */
export const web: Scenario = {
  name: 'web',
  title: 'requests/s of the web-standard adapter, called in process',
  run: ({ rounds, seconds, profiles }) =>
    withRedis(async redis => {
      const workers: Worker[] = [];
      const subjects: { name: string; config: WebConfiguration }[] = [
        { name: 'Request and a constant Response', config: { subject: 'harness' } },
        { name: 'stock, in memory', config: { subject: 'stock' } },
        { name: 'anypod, in memory', config: { subject: 'memory' } },
        { name: 'anypod, on Redis', config: { subject: 'redis', redis } }
      ];
      const results: WebResult[][] = subjects.map(() => []);
      const processes = (): Profiled[] => subjects.map(({ name }, index) => profilable(name, workers[index]!));
      try {
        for (const { config } of subjects) workers.push(await Worker.start('web', config));
        for (let round = 0; round <= rounds; round++) {
          for (const [index, worker] of workers.entries()) {
            const result = await worker.call<WebResult>('run', { seconds });
            if (round > 0) results[index]!.push(result);
          }
          if (round === 0) await profiles?.start(processes());
        }
        await profiles?.stop(processes());
      } finally {
        await Promise.all(workers.map(worker => worker.stop()));
      }
      const rates = results.map(rounds => rounds.map(({ requests, seconds }) => requests / seconds));
      const details: Detail[] = subjects.map(({ name }, index) => ({
        subject: name,
        'requests/s': Math.round(median(rates[index]!)),
        spread: `${Math.round(summarize(rates[index]!).min)}-${Math.round(summarize(rates[index]!).max)}`,
        'CPU, µs/request': Math.round(median(results[index]!.map(({ cpuMicros, requests }) => cpuMicros / requests)))
      }));
      const row = (where: string, of: number[]): Row => ({
        measure: `requests/s, web-standard, ${where} to stock in memory`,
        unit: 'x',
        method: METHOD,
        goal: { atLeast: 1.3 },
        ...ratio(of, rates[1]!)
      });
      const cpu = results.map(rounds => rounds.map(({ cpuMicros, requests }) => cpuMicros / requests));
      const own = (index: number): number[] => cpu[index]!.map((micros, round) => micros - cpu[0]![round]!);
      const alone: Row = {
        measure: 'CPU of the web-standard adapter and the server, stock to ours in memory',
        unit: 'x',
        method: 'CPU of a request, less that of making the Request and reading a constant Response, in both',
        ...ratio(own(1), own(2))
      };
      return { rows: [row('in memory', rates[2]!), row('on Redis', rates[3]!), alone], details };
    })
};
