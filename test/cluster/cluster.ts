import { startPod, startPods, type Pod } from '../support/pods/process.js';
import type { Asked } from '../support/pods/askingTools.js';
import type { Entry } from '../support/pods/probeServer.js';
import { startRoundRobin, type RoundRobin } from '../support/servers/roundRobin.js';
import { startBackend, type Backend, type BackendKind } from './backend.js';
import type { BackstageArguments } from './backstage.js';

export interface ClusterOptions {
  /** What a pod runs. @default test/cluster/pod.ts */
  script?: string;
  /** More command line options of each pod. */
  flags?: readonly string[];
  /** For tests of one backend alone. @default the one that `ANYPOD_BACKEND` names */
  backend?: BackendKind;
}

/** Pods of one script over one backend, behind a round robin. */
export class Cluster {
  readonly #script: string;
  readonly #flags: readonly string[];
  readonly #backendKind: BackendKind | undefined;
  readonly #extraPods: Pod[] = [];
  readonly pods: Pod[] = [];
  backend!: Backend;
  proxy!: RoundRobin;

  constructor({ script = 'test/cluster/pod.ts', flags = [], backend }: ClusterOptions = {}) {
    this.#script = script;
    this.#flags = flags;
    this.#backendKind = backend;
  }

  get first(): Pod {
    return this.pods[0]!;
  }

  get second(): Pod {
    return this.pods[1]!;
  }

  get third(): Pod {
    return this.pods[2]!;
  }

  async start(podCount: number): Promise<this> {
    this.backend = await startBackend(this.#backendKind);
    try {
      await this.addPods(podCount);
      this.proxy = await startRoundRobin(this.pods.map(pod => pod.port));
      return this;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Starts more pods. The round robin serves the old ones until it gets the new ports. */
  async addPods(count: number): Promise<Pod[]> {
    const pods = await startPods(count, this.#script, [...this.backend.flags, ...this.#flags]);
    this.pods.push(...pods);
    return pods;
  }

  /** Starts a pod that is not one of `pods`: a test may end it, or give it other options. */
  async addExtraPod(...flags: string[]): Promise<Pod> {
    const pod = await startPod(this.#script, [...this.backend.flags, ...this.#flags, ...flags]);
    this.#extraPods.push(pod);
    return pod;
  }

  async stop(): Promise<void> {
    await this.proxy?.stop();
    await Promise.all([...this.pods, ...this.#extraPods].map(pod => pod.stop('SIGKILL')));
    await this.backend?.stop();
  }
}

/** A cluster that runs during the tests of a file or of a `describe`. */
export function useCluster(podCount: number, options?: ClusterOptions): Cluster {
  const cluster = new Cluster(options);
  beforeAll(() => cluster.start(podCount));
  afterAll(() => cluster.stop());
  return cluster;
}

/** What happened on a pod so far, of one session or altogether. */
export async function journalOf(pod: Pod, sessionId?: string): Promise<Entry[]> {
  const entries = (await (await fetch(`${pod.origin}/journal`)).json()) as Entry[];
  return sessionId === undefined ? entries : entries.filter(entry => entry.sessionId === sessionId);
}

/** How many servers a pod has made so far. */
export async function serversMadeOn(pod: Pod): Promise<number> {
  return (await journalOf(pod)).filter(entry => entry.what === 'factory').length;
}

/** Closes every server on a pod, as an application may at any time. */
export async function forgetAllOn(pod: Pod): Promise<void> {
  await fetch(`${pod.origin}/forget`, { method: 'POST' });
}

/** Has a session's server on this pod do something outside of any exchange. */
export async function backstage(pod: Pod, action: 'ask', args: BackstageArguments): Promise<Asked[]>;
export async function backstage(pod: Pod, action: string, args: BackstageArguments): Promise<unknown>;
export async function backstage(pod: Pod, action: string, args: BackstageArguments): Promise<unknown> {
  const response = await fetch(`${pod.origin}/backstage/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(args)
  });
  if (!response.ok) throw new Error(`${action} was answered ${response.status} ${await response.text()}`);
  return response.json();
}

/** What was reported on a pod, from the entry with this index on. */
export async function errorsOn(pod: Pod, since = 0): Promise<string[]> {
  return (await journalOf(pod)).slice(since).flatMap(({ what, name }) => (what === 'error' ? [String(name)] : []));
}
