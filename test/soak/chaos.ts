import { setTimeout as delay } from 'node:timers/promises';
import { startPod, startPods, type Pod } from '../support/pods/process.js';
import type { Spread } from '../support/clients/spread.js';
import type { Random } from './random.js';
import type { Kill } from './tally.js';

const podScript = 'test/support/pods/busyPod.ts';

/** Pods that are killed and paused at random, and replaced; what happened is counted. */
export class Chaos {
  readonly counts = { killed: 0, paused: 0 };
  readonly kills: Kill[] = [];
  /** The tokens of what was sent while the event log did not take it. */
  readonly unlogged: Set<string>;
  readonly #podArgs: string[];
  readonly #random: Random;
  readonly #pods: Pod[];
  readonly spread: Spread;

  private constructor(podArgs: string[], random: Random, pods: Pod[], spread: Spread, unlogged: Set<string>) {
    this.#podArgs = podArgs;
    this.#random = random;
    this.#pods = pods;
    this.spread = spread;
    this.unlogged = unlogged;
  }

  /** @param sdk - the version of the SDK that the pods' server is made with: 1 or 2 */
  static async start(
    redisUrl: string,
    sdk: string,
    random: Random,
    makeSpread: (ports: number[]) => Spread
  ): Promise<Chaos> {
    const unlogged = new Set<string>();
    const podArgs = ['--redis', redisUrl, '--sdk', sdk, '--lease', '2000', '--drain', '3000'];
    const pods = await startPods(3, podScript, podArgs, { onLine: noteIn(unlogged) });
    return new Chaos(podArgs, random, pods, makeSpread(pods.map(pod => pod.port)), unlogged);
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
    const from = Date.now();
    await this.#pods[index]!.stop('SIGKILL');
    this.kills.push({ from, to: Date.now() });
    // The balancer is not told before there is a new pod: until then it finds the port closed.
    this.#pods[index] = await startPod(podScript, this.#podArgs, { onLine: noteIn(this.unlogged) });
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
