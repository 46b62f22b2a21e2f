import { InMemoryEventStore } from '../../backends/memory/eventStore.js';
import { InMemorySessionStore } from '../../backends/memory/sessionStore.js';
import { anypodEndpoint, listen, stockEndpoint } from './endpoint.js';
import { startPodProcess } from './podProcess.js';
import { reportCalls, type Reporter } from './podReport.js';

export interface Pod {
  readonly name: string;
  readonly port: number;
  /** Undefined for a pod in this process. */
  readonly pid: number | undefined;
  stop(): Promise<unknown>;
  /** Ends the pod without a shutdown. @returns how */
  kill(): Promise<string>;
  /** Lets the pod stand still, as a process that gets SIGSTOP. */
  pause(): void;
  resume(): void;
}

export type PodStarter = (name: string) => Promise<Pod>;

/** Pods in this process, each with its own port and handler. They share only the stores. */
export function podsInThisProcess(stock: boolean, report?: Reporter): PodStarter {
  const store = new InMemorySessionStore();
  const events = new InMemoryEventStore();
  if (report) reportCalls(undefined, report);
  return async name => {
    const endpoint = stock ? stockEndpoint(name) : anypodEndpoint({ pod: name, report }, store, events);
    const listener = await listen(endpoint);
    return {
      name,
      port: listener.port,
      pid: undefined,
      stop: () => listener.stop(),
      kill: () => listener.kill().then(() => 'its server is destroyed with all its connections'),
      pause: () => listener.pause(),
      resume: () => listener.resume()
    };
  };
}

/** Pods that are processes, as in production. They share only Redis. */
export function podsAsProcesses(redisUrl: string | undefined, report?: Reporter): PodStarter {
  return async name => {
    const args = ['--name', name, ...(redisUrl === undefined ? [] : ['--redis', redisUrl])];
    const { port, pid, stop, signal } = await startPodProcess(args, report);
    return {
      name,
      port,
      pid,
      stop() {
        // A process that stands still handles no other signal but SIGKILL.
        signal('SIGCONT');
        return stop('SIGTERM');
      },
      kill: async () => `its process ${pid} ends with ${await stop('SIGKILL')}`,
      pause: () => signal('SIGSTOP'),
      resume: () => signal('SIGCONT')
    };
  };
}

/** The running pods, managed as by an orchestrator. Names are never used twice. */
export class Fleet {
  readonly #start: PodStarter;
  readonly #begun: Promise<Pod>[] = [];
  #pods: readonly Pod[] = [];

  constructor(start: PodStarter) {
    this.#start = start;
  }

  /** The targets of the load balancer. It is not notified if one of them crashes. */
  get pods(): readonly Pod[] {
    return this.#pods;
  }

  async grow(count: number): Promise<void> {
    const started = await Promise.all(Array.from({ length: count }, () => this.#next()));
    this.#pods = [...this.#pods, ...started];
  }

  /** Starts a new pod to replace one, then ends that one if it still runs. */
  async replace(old: Pod): Promise<Pod> {
    const pod = await this.#next();
    this.#pods = this.#pods.map(each => (each === old ? pod : each));
    await old.stop();
    return pod;
  }

  /** The load balancer sends nothing to it any more. */
  remove(pod: Pod): void {
    this.#pods = this.#pods.filter(each => each !== pod);
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
