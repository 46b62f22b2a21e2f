import { setTimeout as delay } from 'node:timers/promises';
import { AccountingClient, type Call } from '../support/clients/accountingClient.js';
import type { Pod } from '../support/pods/process.js';
import { stopAfterTest } from '../support/stopAfterTest.js';
import { until } from '../support/until.js';
import { Cluster } from './cluster.js';

const CLIENTS = 6;
/** How much later than the pod the balancer learns that it shuts down. */
const LATE_MS = 500;

async function work(client: AccountingClient, stop: AbortSignal): Promise<void> {
  for (let turn = 0; !stop.aborted; turn++) {
    await client.call(['work', 'ask', 'poll'][turn % 3]!, { ms: 20 + (turn % 7) * 20 });
  }
}

const isReady = async ({ origin }: Pod) => (await fetch(`${origin}/ready`)).status === 200;

test.each(['1', '2'])(
  'on version %s of the SDK, a pod that closes with delayMs fails no call, though its balancer learns of the SIGTERM 500 ms late',
  async sdk => {
    const clusterOptions = {
      script: 'test/support/pods/busyPod.ts',
      flags: ['--delay', '1500', '--sdk', sdk],
      backend: 'redis'
    } as const;
    const cluster = await new Cluster(clusterOptions).start(3);
    stopAfterTest(() => cluster.stop());
    const url = `${cluster.proxy.origin}/mcp`;
    const clients = await Promise.all(
      Array.from({ length: CLIENTS }, (_, i) => AccountingClient.connect(`c${i}`, url, { maxRetries: 10 }))
    );
    stopAfterTest(...clients.map(client => () => client.close()));
    await until('all listen', () => clients.every(({ streams }) => streams > 0));
    const stop = new AbortController();
    const working = Promise.all(clients.map(client => work(client, stop.signal)));

    const leaving = cluster.first;
    expect(await isReady(leaving)).toBe(true);
    const exit = leaving.stop('SIGTERM');
    await until('the pod is not ready', async () => !(await isReady(leaving)));
    const closingAt = Date.now();
    await delay(LATE_MS);
    const isServedLate = ({ sentAt, answer }: Call) => sentAt > closingAt && answer?.pid === leaving.pid;
    await until('the closing pod serves calls', () => clients.some(({ calls }) => calls.some(isServedLate)));
    cluster.proxy.setPods([cluster.second.port, cluster.third.port]);
    expect(await exit).toBe(0);
    const goneAt = Date.now();
    const hasGoneOn = ({ calls }: AccountingClient) => calls.some(call => call.sentAt > goneAt && call.settledAt > 0);
    await until('every client goes on without the pod', () => clients.every(hasGoneOn));
    stop.abort();
    await working;

    const calls = clients.flatMap(client => client.calls);
    expect(calls.filter(({ outcome }) => outcome !== 'answered')).toEqual([]);
    expect(clients.flatMap(({ doubled, secondAnswers, foreign }) => [doubled, secondAnswers, foreign].flat())).toEqual(
      []
    );
  }
);
