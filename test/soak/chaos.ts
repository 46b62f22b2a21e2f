import { setTimeout as delay } from 'node:timers/promises';
import { startPod, startPods, type Pod } from '../support/pods/process.js';
import type { Spread } from '../support/clients/spread.js';
import type { Random } from './random.js';

const podScript = 'test/support/pods/busyPod.ts';
const podArgs = ['--lease', '2000', '--drain', '3000'];

/** Pods that are killed and paused at random, and replaced; what happened is counted. */
export class Chaos {
  readonly counts = { killed: 0, paused: 0 };
  /** The tokens of what was sent while the event log did not take it. */
  readonly unlogged: Set<string>;
  readonly #redisUrl: string;
  readonly #random: Random;
  readonly #pods: Pod[];
  readonly spread: Spread;

  private constructor(redisUrl: string, random: Random, pods: Pod[], spread: Spread, unlogged: Set<string>) {
    this.#redisUrl = redisUrl;
    this.#random = random;
    this.#pods = pods;
    this.spread = spread;
    this.unlogged = unlogged;
  }

  static async start(redisUrl: string, random: Random, makeSpread: (ports: number[]) => Spread): Promise<Chaos> {
    const unlogged = new Set<string>();
    const pods = await startPods(3, podScript, ['--redis', redisUrl, ...podArgs], { onLine: noteIn(unlogged) });
    return new Chaos(redisUrl, random, pods, makeSpread(pods.map(pod => pod.port)), unlogged);
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

  async stop(): Promise<void> {
    await Promise.all(this.#pods.map(pod => pod.stop('SIGKILL')));
  }

  async #killOne(): Promise<void> {
    const index = this.#random.below(this.#pods.length);
    this.counts.killed++;
    await this.#pods[index]!.stop('SIGKILL');
    // The balancer is not told before there is a new pod: until then it finds the port closed.
    const args = ['--redis', this.#redisUrl, ...podArgs];
    this.#pods[index] = await startPod(podScript, args, { onLine: noteIn(this.unlogged) });
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

/** Reads what busyPod says of messages that its event log did not take. */
function noteIn(unlogged: Set<string>): (line: string) => void {
  return line => {
    const token = /^unlogged (.+)$/.exec(line)?.[1];
    if (token !== undefined) unlogged.add(token);
  };
}
