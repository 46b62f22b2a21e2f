import { fileURLToPath } from 'node:url';
import { InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { startPod } from '../../test/support/pods/process.js';
import { anypodEndpoint, listen, stockEndpoint } from './endpoint.js';

export interface Pod {
  readonly name: string;
  readonly port: number;
  stop(): Promise<unknown>;
  /** Ends the pod without a shutdown. @returns how */
  kill(): Promise<string>;
}

export type PodStarter = (name: string) => Promise<Pod>;

/** Pods in this process, each with its own port and handler. They share only a store. */
export function podsInThisProcess(stock: boolean): PodStarter {
  const store = new InMemorySessionStore();
  return async name => {
    const listener = await listen(stock ? stockEndpoint(name) : anypodEndpoint(name, store));
    const kill = () => listener.kill().then(() => 'its server is destroyed with all its connections');
    return { name, port: listener.port, stop: listener.stop, kill };
  };
}

/** Pods that are processes, as in production. They share only Redis. */
export function podsAsProcesses(redisUrl: string | undefined): PodStarter {
  const script = fileURLToPath(new URL('./pod.ts', import.meta.url));
  return async name => {
    const args = ['--name', name, ...(redisUrl === undefined ? [] : ['--redis', redisUrl])];
    const pod = await startPod(script, args);
    const kill = async () => `its process ${pod.pid} ends with ${await pod.stop('SIGKILL')}`;
    return { name, port: pod.port, stop: () => pod.stop('SIGTERM'), kill };
  };
}

/** The running pods, managed as by an orchestrator. Names are never used twice. */
export class Fleet {
  readonly #start: PodStarter;
  readonly #begun: Promise<Pod>[] = [];
  #pods: Pod[] = [];

  constructor(start: PodStarter) {
    this.#start = start;
  }

  /** The targets of the load balancer. It is not notified if one of them crashes. */
  get pods(): readonly Pod[] {
    return this.#pods;
  }

  async grow(count: number): Promise<void> {
    const started = await Promise.all(Array.from({ length: count }, () => this.#next()));
    this.#pods.push(...started);
  }

  /** Starts a new pod to replace one, then ends that one if it still runs. */
  async replace(old: Pod): Promise<Pod> {
    const pod = await this.#next();
    this.#pods = this.#pods.map(each => (each === old ? pod : each));
    await old.stop();
    return pod;
  }

  /** Ends every pod that was started. */
  async stop(): Promise<void> {
    for (const begun of await Promise.allSettled(this.#begun)) {
      if (begun.status === 'fulfilled') await begun.value.kill();
    }
  }

  #next(): Promise<Pod> {
    const pod = this.#start(`pod-${this.#begun.length + 1}`);
    this.#begun.push(pod);
    return pod;
  }
}
