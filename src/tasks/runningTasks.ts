import { unref } from '../deadline.js';
import { sessionServer } from './liveServers.js';
import { clearInterval, setInterval } from '../timers.js';

/** How often a pod checks whether one of its tasks has ended on another pod. */
const LOOK_MS = 30_000;

/**
 * Tasks that began on this pod. Their work continues after the request that began it was answered. It needs the
 * session's server, to send requests and status notifications to the client. So the server stays live until the task
 * ends.
 */
export class RunningTasks {
  readonly #releases = new Map<string, () => void>();

  /** @param look - asks the store for the task, and calls {@link ended} if the task has ended or is missing */
  started(taskId: string, sessionId: string | undefined, look: () => Promise<unknown>): void {
    const server = sessionServer(sessionId);
    if (!server) return;
    const release = server.retain();
    const timer = setInterval(() => {
      if (!server.live) this.ended(taskId);
      // If the store fails, it is asked again later.
      else void look().catch(() => {});
    }, LOOK_MS);
    unref(timer);
    this.#releases.set(taskId, () => {
      clearInterval(timer);
      release();
    });
  }

  ended(taskId: string): void {
    this.#releases.get(taskId)?.();
    this.#releases.delete(taskId);
  }
}
