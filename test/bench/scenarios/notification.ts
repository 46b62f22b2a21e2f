import { get } from 'node:http';
import { withRedis } from '../redis.js';
import { checkEcho, JSON_HEADERS, openSession } from '../client.js';
import type { PodConfiguration } from '../processes/pod.js';
import type { Detail, Scenario } from '../scenario.js';
import { median, ratio, summarize } from '../statistics.js';
import { Worker } from '../worker.js';

const CHANNEL = 'bench:bare';

/** How long a notification of one pod takes to a client whose stream another one holds. */
export const notification: Scenario = {
  name: 'notify',
  title: 'a notification of pod B to a client’s stream on pod A',
  run: ({ quick, rounds }) =>
    withRedis(async redis => {
      const config: PodConfiguration = { subject: 'redis', redis };
      const [a, b] = await Promise.all([Worker.start('pod', config), Worker.start('pod', config)]);
      try {
        const [originA, originB] = await Promise.all([a.call<string>('origin'), b.call<string>('origin')]);
        const sessionId = await openSession(originA);
        await checkEcho(originB, sessionId);
        const stream = await Listener.open(`${originA}/mcp`, sessionId);
        await a.call('subscribe', { channel: CHANNEL });
        const relayed = await Listener.open(`${originA}/relay`, sessionId);
        const ours: number[] = [];
        const bare: number[] = [];
        const byHand: number[] = [];
        const each = quick ? 100 : 300;
        for (let round = 0; round <= rounds; round++) {
          const latencies: number[] = [];
          const relays: number[] = [];
          for (let sent = 0; sent < each; sent++) {
            const arrived = stream.next();
            await b.call('notify', { sessionId });
            latencies.push(await arrived);
            const alsoArrived = relayed.next();
            await b.call('publish', { channel: CHANNEL });
            relays.push(await alsoArrived);
          }
          const arrivals = await a.call<number[]>('arrivals');
          if (round === 0) continue;
          ours.push(median(latencies));
          bare.push(median(arrivals));
          byHand.push(median(relays));
        }
        stream.close();
        relayed.close();
        const line = (what: string, values: number[]): Detail => ({
          path: what,
          'p50, µs': Math.round(median(values)),
          spread: `${Math.round(summarize(values).min)}-${Math.round(summarize(values).max)}`
        });
        return {
          rows: [
            {
              measure: 'notification from another pod, p50, to a bare publish, subscribe and write',
              unit: 'x',
              method:
                'from before the server on B sends until the client has read it from the stream that A holds, one at a time, ' +
                'to a bare publish on B whose subscriber on A writes it to a client’s response; p50 of a round; one clock for all processes',
              goal: { atMost: 1.5 },
              ...ratio(ours, byHand)
            },
            {
              measure: 'the same, to a publish and subscribe without a client',
              unit: 'x',
              method:
                'the same, to a bare publish on B until the subscriber on A hears of it: one process less to wake',
              ...ratio(ours, bare)
            }
          ],
          details: [
            line('server on B, bus, A, stream, client', ours),
            line('publish on B, subscriber on A, response, client', byHand),
            line('publish on B, subscriber on A', bare)
          ]
        };
      } finally {
        await Promise.all([a.stop(), b.stop()]);
      }
    })
};

/** A client's GET stream whose events carry when they were sent. */
class Listener {
  #arrived: ((micros: number) => void) | undefined;
  close!: () => void;

  static async open(url: string, sessionId: string): Promise<Listener> {
    const listener = new Listener();
    const headers = { ...JSON_HEADERS, accept: 'text/event-stream', 'mcp-session-id': sessionId };
    await new Promise<void>((resolve, reject) => {
      const request = get(url, { headers }, response => {
        if (response.statusCode !== 200) reject(new Error(`Answered ${response.statusCode}`));
        response.on('data', (chunk: Buffer) => listener.#receive(chunk)).on('error', () => {});
        resolve();
      });
      request.on('error', reject);
      listener.close = () => void request.destroy();
    });
    return listener;
  }

  /** Microseconds that the next notification was under way. */
  next(): Promise<number> {
    return new Promise(resolve => (this.#arrived = resolve));
  }

  #receive(chunk: Buffer): void {
    const now = process.hrtime.bigint();
    const sentAt = /"data":"(\d+)"/.exec(chunk.toString('latin1'))?.[1];
    if (sentAt !== undefined) this.#arrived?.(Number(now - BigInt(sentAt)) / 1000);
  }
}
