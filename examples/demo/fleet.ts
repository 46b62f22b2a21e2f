import { fileURLToPath } from 'node:url';
import { InMemorySessionStore } from 'mcp-sdk-anypod/server';
import { startPod } from '../../test/support/pods/process.js';
import { anypodEndpoint, listen, stockEndpoint } from './endpoint.js';

export interface Pod {
  readonly name: string;
  readonly port: number;
  stop(): Promise<unknown>;
  /** Without a goodbye to anyone. @returns how */
  kill(): Promise<string>;
}

export type PodStarter = (name: string) => Promise<Pod>;

/** Pods in this process, each with a port and a handler of its own. All they share is one store. */
export function podsInThisProcess(stock: boolean): PodStarter {
  const store = new InMemorySessionStore();
  return async name => {
    const listener = await listen(stock ? stockEndpoint(name) : anypodEndpoint(name, store));
    const kill = () => listener.kill().then(() => 'its server is destroyed with all its connections');
    return { name, port: listener.port, stop: listener.stop, kill };
  };
}

/** Pods that are processes, as in production. All they share is Redis. */
export function podsAsProcesses(redisUrl: string | undefined): PodStarter {
  const script = fileURLToPath(new URL('./pod.ts', import.meta.url));
  return async name => {
    const args = ['--name', name, ...(redisUrl === undefined ? [] : ['--redis', redisUrl])];
    const pod = await startPod(script, args);
    const kill = async () => `its process ${pod.pid} ends with ${await pod.stop('SIGKILL')}`;
    return { name, port: pod.port, stop: () => pod.stop('SIGTERM'), kill };
  };
}

/** The pods that run, as an orchestrator keeps them. Each has a name that no other had before it. */
export class Fleet {
  readonly #start: PodStarter;
  readonly #begun: Promise<Pod>[] = [];
  #pods: Pod[] = [];

  constructor(start: PodStarter) {
    this.#start = start;
  }

  /** Where the load balancer sends requests. It is not told when one of them crashes. */
  get pods(): readonly Pod[] {
    return this.#pods;
  }

  async grow(count: number): Promise<void> {
    const started = await Promise.all(Array.from({ length: count }, () => this.#next()));
    this.#pods.push(...started);
  }

  /** Starts a new pod in the place of one, then ends that one if it still runs. */
  async replace(old: Pod): Promise<Pod> {
    const pod = await this.#next();
    this.#pods = this.#pods.map(each => (each === old ? pod : each));
    await old.stop();
    return pod;
  }

  /** Ends every pod that was ever started. */
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
