import { setTimeout as delay } from 'node:timers/promises';
import { startPod, startPods, type Pod } from '../support/pods/process.js';
import type { Spread } from '../support/clients/spread.js';
import type { TcpProxy } from '../support/servers/tcpProxy.js';
import type { Random } from './random.js';

const podScript = 'test/support/pods/busyPod.ts';
const podArgs = ['--lease', '2000', '--drain', '3000'];

/** Pods that are killed and paused at random, and replaced; what happened is counted. */
export class Chaos {
  readonly counts = { killed: 0, paused: 0, cut: 0, slowed: 0 };
  readonly #redisUrl: string;
  readonly #random: Random;
  readonly #pods: Pod[];
  readonly spread: Spread;

  private constructor(redisUrl: string, random: Random, pods: Pod[], spread: Spread) {
    this.#redisUrl = redisUrl;
    this.#random = random;
    this.#pods = pods;
    this.spread = spread;
  }

  static async start(redisUrl: string, random: Random, makeSpread: (ports: number[]) => Spread): Promise<Chaos> {
    const pods = await startPods(3, podScript, ['--redis', redisUrl, ...podArgs]);
    return new Chaos(redisUrl, random, pods, makeSpread(pods.map(pod => pod.port)));
  }

  /** Kills one after the other, and replaces it, until `signal` aborts. */
  async killPods(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(this.#random.between(500, 1500));
      await this.#killOne();
    }
  }

  /** Has one after the other stand still for a while, until `signal` aborts. */
  async pausePods(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(this.#random.between(500, 3000));
      await this.#pauseOne();
    }
  }

  /** Takes Redis away for a moment, and later makes it slow for another. */
  async troubleRedis(proxy: TcpProxy, signal: AbortSignal): Promise<void> {
    for (;;) {
      await delay(20_000, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      if (this.counts.cut > this.counts.slowed) {
        this.counts.slowed++;
        proxy.delay(200);
        await delay(5000);
        proxy.delay(0);
      } else {
        this.counts.cut++;
        proxy.cut();
        await delay(500);
        proxy.restore();
      }
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#pods.map(pod => pod.stop('SIGKILL')));
  }

  async #killOne(): Promise<void> {
    const index = this.#random.below(this.#pods.length);
    this.counts.killed++;
    await this.#pods[index]!.stop('SIGKILL');
    // The balancer is not told before there is a new pod: until then it finds the port closed.
    this.#pods[index] = await startPod(podScript, ['--redis', this.#redisUrl, ...podArgs]);
    this.spread.setPorts(this.#pods.map(pod => pod.port));
  }

  async #pauseOne(): Promise<void> {
    const pod = this.#random.of(this.#pods);
    this.counts.paused++;
    pod.signal('SIGSTOP');
    await delay(this.#random.between(200, 3500));
    pod.signal('SIGCONT');
  }
}
