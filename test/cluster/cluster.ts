import { startPods, type Pod } from '../support/pods/process.js';
import type { Asked } from '../support/pods/askingTools.js';
import type { Entry } from '../support/pods/probeServer.js';
import { startRoundRobin, type RoundRobin } from '../support/servers/roundRobin.js';
import { startBackend, type Backend } from './backend.js';
import type { BackstageArguments } from './backstage.js';

const podScript = 'test/cluster/pod.ts';

/** Pods of test/cluster/pod.ts over one backend, behind a round robin. */
export class Cluster {
  readonly backend: Backend;
  readonly pods: Pod[];
  readonly proxy: RoundRobin;

  private constructor(backend: Backend, pods: Pod[], proxy: RoundRobin) {
    this.backend = backend;
    this.pods = pods;
    this.proxy = proxy;
  }

  static async start(podCount: number): Promise<Cluster> {
    const backend = await startBackend();
    try {
      const pods = await startPods(podCount, podScript, backend.flags);
      return new Cluster(backend, pods, await startRoundRobin(pods.map(pod => pod.port)));
    } catch (error) {
      await backend.stop();
      throw error;
    }
  }

  /** Starts more pods; the round robin goes on with the old ones until it is told. */
  async addPods(count: number): Promise<Pod[]> {
    const pods = await startPods(count, podScript, this.backend.flags);
    this.pods.push(...pods);
    return pods;
  }

  async stop(): Promise<void> {
    await this.proxy.stop();
    await Promise.all(this.pods.map(pod => pod.stop('SIGKILL')));
    await this.backend.stop();
  }
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
