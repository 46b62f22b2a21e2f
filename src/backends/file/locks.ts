import { current, enter, holder, isQueue, leave, type Queue } from './lockQueue.js';
import type { StoreDirectory } from './storeDirectory.js';
import { ABANDONED_MS, Sweeper } from './sweeper.js';
import { VersionedFile } from './versionedFile.js';
import { Date } from '../../timers.js';

/** The locks of sessions: one queue file each. Leases use the clock of the host, which its processes share. */
export class FileLocks {
  readonly #directory: StoreDirectory;
  readonly #onSetAside: (path: string) => void;
  readonly #sweeper: Sweeper;

  constructor(directory: StoreDirectory, onSetAside: (path: string) => void, report: (error: Error) => void) {
    this.#directory = directory;
    this.#onSetAside = onSetAside;
    this.#sweeper = new Sweeper(directory, 'locks', path => this.#isIdle(path), report);
  }

  async acquireLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    const queue = await this.#change(sessionId, (queue, now) => enter(queue, token, now + leaseMs));
    this.#sweeper.step();
    return holder(queue) === token;
  }

  async renewLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    const queue = await this.#change(sessionId, (queue, now) =>
      holder(queue) === token ? enter(queue, token, now + leaseMs) : queue
    );
    return holder(queue) === token;
  }

  async releaseLock(sessionId: string, token: string): Promise<void> {
    const isIn = (queue: Queue) => queue.some(contender => contender.token === token);
    await this.#change(sessionId, queue => (isIn(queue) ? leave(queue, token) : queue));
  }

  close(): Promise<void> {
    return this.#sweeper.close();
  }

  /** @returns the new queue */
  #change(sessionId: string, change: (queue: Queue, now: number) => Queue): Promise<Queue> {
    return this.#directory.within('locks', sessionId, path =>
      this.#file(path).update(version => {
        const now = Date.now();
        const queue = current(version?.content, now);
        const next = change(queue, now);
        return next === queue ? { result: queue } : { next: { contenders: next }, result: next };
      })
    );
  }

  async #isIdle(path: string): Promise<boolean> {
    const queue = await this.#file(path).read();
    const before = Date.now() - ABANDONED_MS;
    return queue !== undefined && queue.touchedAt < before && current(queue.content, before).length === 0;
  }

  /** Not durable: a power failure also ends the holder of the lock. */
  #file(path: string): VersionedFile {
    const options = { durable: false, isValid: isQueue, onSetAside: this.#onSetAside };
    return new VersionedFile(this.#directory.modules, path, 'queue', options);
  }
}
