import { unref } from '../deadline.js';
import { sessionServer } from './liveServers.js';
import { clearInterval, setInterval } from '../timers.js';

/** How often a pod looks whether a task of its own has ended elsewhere. */
const LOOK_MS = 30_000;

/**
 * Tasks that began on this pod. Their work goes on here after the request that began it was answered, and needs its
 * session's server: to ask the client, to tell it of the status. Until a task ends the server stays live.
 */
export class RunningTasks {
  readonly #releases = new Map<string, () => void>();

  /** @param look - asks the store for the task, and calls {@link ended} where it has ended or is gone */
  started(taskId: string, sessionId: string | undefined, look: () => Promise<unknown>): void {
    const server = sessionServer(sessionId);
    if (!server) return;
    const release = server.retain();
    const timer = setInterval(() => {
      if (!server.live) this.ended(taskId);
      // A store that cannot be asked now is asked again.
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
