import type { AttachedConfiguration } from '../processes/attached.js';
import { withRedis } from '../redis.js';
import type { Scenario } from '../scenario.js';
import { median, ratio, summarize } from '../statistics.js';
import { Worker } from '../worker.js';

const URI = 'bench://resource';
const PODS = 3;

/** How long it takes until all clients of all pods know that a resource has changed. */
export const fanOut: Scenario = {
  name: 'fanout',
  title: `a notification of one pod to the subscribers on ${PODS} pods`,
  run: ({ quick, rounds }) =>
    withRedis(async redis => {
      const count = quick ? 900 : 9_999;
      const [ours, bare] = [await Fleet.start('redis', redis, PODS, count), await Fleet.start('bare', redis, 1, count)];
      try {
        for (let round = 0; round <= rounds; round++) {
          for (const fleet of [ours, bare]) {
            await fleet.notify();
            if (round === 0) fleet.times.length = 0;
          }
        }
      } finally {
        await Promise.all([ours.stop(), bare.stop()]);
      }
      const detail = (subject: string, { times }: Fleet) => ({
        subject,
        'ms until the last client has it': Math.round(median(times)),
        spread: `${Math.round(summarize(times).min)}-${Math.round(summarize(times).max)}`
      });
      return {
        rows: [
          {
            measure: 'notification to all subscribers of a resource, to writing it to their sockets',
            unit: 'x',
            method:
              `until the last of ${count} clients has read it: notify.resourceUpdated on one of ${PODS} pods, whose clients each hold a GET stream, ` +
              'without an event store; to one process of node:http that writes the same event to as many open responses',
            goal: { atMost: 3 },
            ...ratio(ours.times, bare.times)
          }
        ],
        details: [detail(`anypod, ${PODS} pods on Redis`, ours), detail('bare node:http, one process', bare)]
      };
    })
};

/** Pods, and a client of each that holds all its streams. */
class Fleet {
  /** Of each round, in milliseconds. */
  readonly times: number[] = [];
  readonly #pods: readonly Worker[];
  readonly #holder: Worker;
  readonly #count: number;

  private constructor(pods: readonly Worker[], holder: Worker, count: number) {
    this.#pods = pods;
    this.#holder = holder;
    this.#count = count;
  }

  static async start(
    subject: AttachedConfiguration['subject'],
    redis: string,
    size: number,
    count: number
  ): Promise<Fleet> {
    const config: AttachedConfiguration = { subject, redis };
    const start = (): Promise<Worker> => Worker.start('attached', config, ['--expose-gc']);
    const [holder, ...pods] = await Promise.all([Worker.start('holder'), ...Array.from({ length: size }, start)]);
    for (const pod of pods) {
      const origin = await pod.call<string>('origin');
      await holder.call('hold', { origin, count: count / size, isBare: subject === 'bare', uri: URI });
    }
    return new Fleet(pods, holder, count);
  }

  async notify(): Promise<void> {
    const startedAt = performance.now();
    const received = this.#holder.call('receive', { count: this.#count });
    await this.#pods[0]!.call('notify', { uri: URI });
    await received;
    this.times.push(performance.now() - startedAt);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#pods, this.#holder].map(process => process.stop()));
  }
}
