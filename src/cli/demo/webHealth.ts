import { clearInterval, setInterval } from '../../timers.js';
import type { Pod } from './fleet.js';

const EVERY_MS = 400;
const ANSWER_WITHIN_MS = 350;

/** The balancer's health checks: `GET /ready` of each pod. */
export class PodHealth {
  readonly #pods: () => readonly Pod[];
  readonly #onResult: (pod: Pod, healthy: boolean) => void;
  /** The failed checks in a row of each pod. */
  readonly #failures = new Map<Pod, number>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** @param onResult - told of each check that counts: one success, or two failures in a row */
  constructor(pods: () => readonly Pod[], onResult: (pod: Pod, healthy: boolean) => void) {
    this.#pods = pods;
    this.#onResult = onResult;
  }

  start(): void {
    this.#timer = setInterval(() => {
      for (const pod of this.#pods()) void this.#check(pod);
    }, EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #check(pod: Pod): Promise<void> {
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const healthy = await fetch(`http://127.0.0.1:${pod.port}/ready`, { signal }).then(
      ({ ok }) => ok,
      () => false
    );
    const failures = healthy ? 0 : (this.#failures.get(pod) ?? 0) + 1;
    this.#failures.set(pod, failures);
    if (!this.#pods().includes(pod)) return void this.#failures.delete(pod);
    if (failures !== 1) this.#onResult(pod, healthy);
  }
}
