import { checkEcho, openSessions } from './client.js';
import type { LoadResult, LoadTask } from './processes/load.js';
import type { PodConfiguration } from './processes/pod.js';
import type { Version2Configuration } from './processes/version2.js';
import type { BenchOptions, Detail, Row } from './scenario.js';
import { median, ratio, summarize } from './statistics.js';
import { Worker } from './worker.js';

export interface Surroundings {
  /** What each pod runs: a file of `processes`. @default 'pod' */
  process?: 'pod' | 'bundledPod' | 'silentPod' | 'version2';
  pods?: number;
  sessions?: number;
  /** The program that runs the pods. @default the one of this process */
  node?: string;
  /** Starts a balancer. @returns the origin that the load goes to */
  front?: (origins: readonly string[]) => Promise<string>;
}

/** One or more pods that are measured as one, and what every round has shown. */
export class Subject {
  readonly name: string;
  readonly rounds: (LoadResult & { cpuPerRequest: number })[] = [];
  readonly #pods: Worker[];
  readonly origins: string[];
  readonly #sessions: string[];

  private constructor(name: string, pods: Worker[], origins: string[], sessions: string[]) {
    this.name = name;
    this.#pods = pods;
    this.origins = origins;
    this.#sessions = sessions;
  }

  static async start(
    name: string,
    config: PodConfiguration | Version2Configuration,
    { process = 'pod', pods: count = 1, sessions: wanted = 32, node, front }: Surroundings = {}
  ): Promise<Subject> {
    const pods = await Promise.all(Array.from({ length: count }, () => Worker.start(process, config, [], node)));
    const own = await Promise.all(pods.map(pod => pod.call<string>('origin')));
    const origins = front ? [await front(own)] : own;
    const keepsSessions = config.subject !== 'ceiling' && config.subject !== 'stateless';
    const sessions = keepsSessions ? await openSessions(origins[0]!, wanted) : ['none'];
    if (config.subject !== 'ceiling') {
      // So that every pod has every session: recovery is measured elsewhere.
      for (const origin of origins) {
        for (let from = 0; from < sessions.length; from += 50) {
          await Promise.all(sessions.slice(from, from + 50).map(sessionId => checkEcho(origin, sessionId)));
        }
      }
    }
    return new Subject(name, pods, origins, sessions);
  }

  /** Puts load on the pods for a while, and notes what it cost them. */
  async measure(load: Worker, kind: 'closed' | 'open', task: Omit<LoadTask, 'origins' | 'sessions'>): Promise<void> {
    const before = await this.#cpuMicros();
    const result = await load.call<LoadResult>(kind, { ...task, origins: this.origins, sessions: this.#sessions });
    const spent = (await this.#cpuMicros()) - before;
    this.rounds.push({ ...result, cpuPerRequest: spent / result.requests });
  }

  /** Profiles one pod: the others do the same. */
  startProfile(): Promise<void> {
    return this.#pods[0]!.call('startProfile');
  }

  stopProfile(file: string): Promise<void> {
    return this.#pods[0]!.call('stopProfile', { file });
  }

  /** Of each round. */
  get rates(): number[] {
    return this.rounds.map(({ requests, seconds }) => requests / seconds);
  }

  get p99s(): number[] {
    return this.rounds.map(({ p99 }) => p99);
  }

  get cpuPerRequest(): number[] {
    return this.rounds.map(round => round.cpuPerRequest);
  }

  detail(): Detail {
    const rate = summarize(this.rates);
    const of = (key: 'p50' | 'p99'): number => Number((median(this.rounds.map(round => round[key])) / 1000).toFixed(2));
    const loadCpu = Math.round(100 * median(this.rounds.map(round => round.loadCpu)));
    return {
      subject: this.name,
      'requests/s': Math.round(rate.median),
      spread: `${Math.round(rate.min)}-${Math.round(rate.max)}`,
      'server CPU, µs/request': Math.round(median(this.cpuPerRequest)),
      'p50, ms': of('p50'),
      'p99, ms': of('p99'),
      'CPU of the load generator': `${loadCpu} %${loadCpu > 90 ? ', the limit' : ''}`
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#pods.map(pod => pod.stop()));
  }

  async #cpuMicros(): Promise<number> {
    const spent = await Promise.all(this.#pods.map(pod => pod.call<number>('cpu')));
    return spent.reduce((sum, micros) => sum + micros, 0);
  }
}

export const CONNECTIONS = 32;
/** What every row of a closed loop says of it. */
export const LOAD = `requests/s of an echo tool, ${CONNECTIONS} keep-alive connections that send as soon as they are answered`;

/** On few cores the load generator and Redis take from the requests per second; from this they do not. */
export function cpuRow(way: string, stock: Subject, ours: Subject): Row {
  return {
    measure: `server CPU of a request, ${way}stock in memory to ours on Redis`,
    unit: 'x',
    method: 'process.cpuUsage of the server for each request of the same rounds, stock to ours',
    ...ratio(stock.cpuPerRequest, ours.cpuPerRequest)
  };
}

/**
 * Measures the subjects in turn, round after round. The first round warms up and does not count.
 * @param rate - requests per second for each pod; without it, as many as they answer
 */
export async function interleave(
  subjects: readonly Subject[],
  { rounds, seconds, profiles }: BenchOptions,
  rate?: number
): Promise<void> {
  const load = await Worker.start('load');
  try {
    for (let round = 0; round <= rounds; round++) {
      for (const subject of subjects) {
        const task = { connections: CONNECTIONS, seconds };
        if (rate === undefined) await subject.measure(load, 'closed', task);
        else await subject.measure(load, 'open', { ...task, rate: rate * subject.origins.length });
        if (round === 0) subject.rounds.length = 0;
      }
      if (round === 0) await profiles?.start(subjects);
    }
    await profiles?.stop(subjects);
  } finally {
    await load.stop();
  }
}

/** Starts what is named, all at the same time, and stops all of it in the end. */
export async function withSubjects<T>(
  starting: Promise<Subject>[],
  work: (...subjects: Subject[]) => Promise<T>
): Promise<T> {
  const started = await Promise.allSettled(starting);
  const subjects = started.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
  try {
    const failed = started.find(result => result.status === 'rejected');
    if (failed) throw failed.reason;
    return await work(...subjects);
  } finally {
    await Promise.all(subjects.map(subject => subject.stop()));
  }
}
