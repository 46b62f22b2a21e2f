import { unref } from '../deadline.js';
import { BusUnavailableError } from '../errors.js';
import type { ResolvedOptions } from '../engine/options.js';
import { askBus } from '../engine/pods/peers.js';
import { answersTopic, parsePodMessage, podMessage, PODS_TOPIC, type PodState } from '../engine/pods/podMessage.js';
import type { ReportError } from '../report.js';
import { builtInModule } from '../runtime.js';
import type { HandlerHealth } from './health.js';
import type { LiveSessions } from './liveSessions.js';
import { performance, setTimeout } from '../timers.js';

/** The pod, as this class sees it. */
export interface RespondingPod {
  counts(): Pick<HandlerHealth, 'draining' | 'liveSessions' | 'inFlight'>;
  close(delayMs: number, drainMs: number): Promise<void>;
}

type Counted = Pick<PodState, 'state' | 'liveSessions' | 'maxLiveSessions' | 'attachedStreams' | 'inFlight'>;

/** A question within this time of another is answered from the same count: counting visits all live sessions. */
const SAME_COUNT_MS = 200;

/** Answers operators who ask all pods, and drains this pod if one asks for it. */
export class PodResponder {
  readonly #instance = globalThis.crypto.randomUUID().replaceAll('-', '').slice(0, 8);
  readonly #startedAt = performance.now();
  readonly #options: ResolvedOptions;
  readonly #sessions: LiveSessions;
  readonly #pod: RespondingPod;
  readonly #report: ReportError;
  #subscription: Promise<() => Promise<void>> | undefined;
  #counted: Counted | undefined;
  #requests = 0;
  /** How many sessions this pod has recovered. */
  recoveries = 0;

  constructor(options: ResolvedOptions, sessions: LiveSessions, pod: RespondingPod, report: ReportError) {
    this.#options = options;
    this.#sessions = sessions;
    this.#pod = pod;
    this.#report = report;
  }

  /** Counts an exchange. The pod listens from its first one on. */
  onRequest(): void {
    this.#requests++;
    if (!this.#subscription) this.#listen();
  }

  #listen(): void {
    const { bus } = this.#options;
    if (!bus || this.#pod.counts().draining) return;
    this.#subscription = bus.subscribe(PODS_TOPIC, text => void this.#onText(text));
    this.#subscription.catch((error: unknown) => {
      this.#subscription = undefined;
      this.#report(new BusUnavailableError('subscribe failed', { cause: error }));
    });
  }

  /** Waits at most for the timeout of one call. */
  async close(): Promise<void> {
    const subscribed = this.#subscription?.catch(() => undefined);
    if (subscribed) await askBus('unsubscribe', this.#options, async () => (await subscribed)?.()).catch(this.#report);
  }

  async #onText(text: string): Promise<void> {
    try {
      const message = parsePodMessage(text);
      if (message.type === 'pod-state') return;
      if (message.type === 'pod-drain') {
        if (message.to !== this.#instance) return;
        void this.#pod.close(message.delayMs, message.drainMs);
        this.#counted = undefined;
      }
      const answer = podMessage(this.#instance, { type: 'pod-state', pod: this.#state() });
      await askBus('publish', this.#options, async () =>
        this.#options.bus?.publish(answersTopic(message.from), answer)
      );
    } catch (error) {
      const reason = (error as Error).message;
      this.#report(new BusUnavailableError(`Dropped a message of an operator: ${reason}`, { cause: error }));
    }
  }

  #count(): Counted {
    let attachedStreams = 0;
    for (const { engine } of this.#sessions) attachedStreams += engine.streams.attachedStreams;
    const { draining, liveSessions, inFlight } = this.#pod.counts();
    return {
      state: draining ? 'draining' : 'serving',
      liveSessions,
      maxLiveSessions: this.#sessions.limit,
      attachedStreams,
      inFlight
    };
  }

  #state(): PodState {
    if (!this.#counted) {
      this.#counted = this.#count();
      unref(setTimeout(() => (this.#counted = undefined), SAME_COUNT_MS));
    }
    const memory = memoryUsage();
    return {
      version: '',
      sdkVersion: '',
      ...this.#options.dialect.versions?.(),
      ...this.#counted,
      requests: this.#requests,
      recoveries: this.recoveries,
      instance: this.#instance,
      host: hostName(),
      pid: processOf()?.pid ?? 0,
      runtime: processOf()?.version ?? '',
      uptimeMs: Math.round(performance.now() - this.#startedAt),
      rssBytes: memory?.rss ?? 0,
      heapBytes: memory?.heapUsed ?? 0,
      namespace: this.#options.namespace
    };
  }
}

/** The parts of Node's `process` that are used. Other runtimes lack some. */
interface NodeProcess {
  pid?: number;
  version?: string;
  env?: Record<string, string | undefined>;
  memoryUsage?: () => { rss: number; heapUsed: number };
}

function processOf(): NodeProcess | undefined {
  return (globalThis as { process?: NodeProcess }).process;
}

function memoryUsage(): { rss: number; heapUsed: number } | undefined {
  try {
    return processOf()?.memoryUsage?.();
  } catch {
    // Next's edge runtime has the function, which throws.
    return undefined;
  }
}

/** In Kubernetes: the name of the pod. */
function hostName(): string {
  try {
    return builtInModule<{ hostname(): string }>('node:os')?.hostname() ?? processOf()?.env?.HOSTNAME ?? '';
  } catch {
    return '';
  }
}
