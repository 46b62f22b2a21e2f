import { withRedis } from '../redis.js';
import type { RecoveryResult, RecoveryTask, ServerKind } from '../processes/recovery.js';
import type { Detail, Row, Scenario } from '../scenario.js';
import { profilable } from '../profile.js';
import { median, ratio, summarize } from '../statistics.js';
import { Worker } from '../worker.js';

const WITH_TOOLS: ServerKind = 'McpServer of 20 tools, made once';
const KINDS: ServerKind[] = ['least', 'McpServer', 'McpServer, shared validator', WITH_TOOLS];

/** What it costs a pod to take over a session that it has never seen. */
export const recovery: Scenario = {
  name: 'recovery',
  title: 'CPU of recovering a session on a cold pod',
  run: ({ quick, profiles }) =>
    withRedis(async redis => {
      const [warmUp, batches, size] = quick ? [4, 5, 200] : [15, 25, 400];
      const results = new Map<ServerKind, RecoveryResult[]>(KINDS.map(kind => [kind, []]));
      const stock: number[] = [];
      const worker = await Worker.start('recovery', { redis });
      const process = profilable('calls of cold and of live sessions, every server', worker);
      try {
        for (let batch = -warmUp; batch < batches; batch++) {
          if (batch === 0) await profiles?.start([process]);
          for (const kind of KINDS) {
            const task: RecoveryTask = { kind, size };
            const result = await worker.call<RecoveryResult>('measure', task);
            if (batch >= 0) results.get(kind)!.push(result);
          }
          const stockCall = await worker.call<number>('measureStock', { size });
          if (batch >= 0) stock.push(stockCall);
        }
        await profiles?.stop([process]);
      } finally {
        await worker.stop();
      }
      const row = (kind: ServerKind): Row => ({
        measure: kind === 'least' ? 'recovery, our share of CPU' : `recovery with an ${kind}`,
        unit: 'µs',
        method:
          `process.cpuUsage over batches of ${size} sessions, 32 at a time: a call on a pod that has never seen the session, ` +
          'less the same call when it is live' +
          (kind === 'least'
            ? '; the server is an object that answers, so making it and asking it cost next to nothing'
            : ''),
        ...(kind === 'least' && { goal: { atMost: 60 } }),
        ...summarize(results.get(kind)!.map(({ cold, live }) => cold - live))
      });
      const detail = (kind: ServerKind): Detail => {
        const [cold, live] = (['cold', 'live'] as const).map(what => results.get(kind)!.map(result => result[what]));
        return { server: kind, 'cold, µs': Math.round(median(cold!)), 'live, µs': Math.round(median(live!)) };
      };
      const toStock: Row = {
        measure: 'cold call with 20 tools, to a call of the SDK',
        unit: 'x',
        method:
          'CPU of a call on a pod that has never seen the session, with the schemas and the validator made once, ' +
          'to a call of a session that the SDK has, both with an McpServer of 20 tools',
        goal: { atMost: 1.5 },
        ...ratio(
          results.get(WITH_TOOLS)!.map(({ cold }) => cold),
          stock
        )
      };
      const ofStock: Detail = { server: 'stock, 20 tools', 'live, µs': Math.round(median(stock)) };
      return { rows: [...KINDS.map(row), toStock], details: [...KINDS.map(detail), ofStock] };
    })
};
