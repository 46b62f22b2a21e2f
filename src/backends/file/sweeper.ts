import type { Dir } from 'node:fs';
import { ignore, type Kind, type StoreDirectory } from './storeDirectory.js';
import { Date } from '../../timers.js';

/** Directories checked per sweep. */
const BATCH = 8;
/** Age at which the rest of a write or removal counts as abandoned, because its process has died. */
export const ABANDONED_MS = 60_000;

/**
 * Removes expired directories, a few at a time. Each creation of a session checks some, and continues after the last
 * one checked.
 */
export class Sweeper {
  readonly #directory: StoreDirectory;
  readonly #kind: Kind;
  readonly #isOver: (path: string) => Promise<boolean>;
  readonly #report: (error: Error) => void;
  #round: Dir | undefined;
  #running: Promise<void> | undefined;

  /** @param isOver - whether nothing in a directory of this kind is needed any more */
  constructor(
    directory: StoreDirectory,
    kind: Kind,
    isOver: (path: string) => Promise<boolean>,
    report: (error: Error) => void
  ) {
    this.#directory = directory;
    this.#kind = kind;
    this.#isOver = isOver;
    this.#report = report;
  }

  /** Sweeps a few directories, unless a sweep is running. Callers need not wait for it. */
  step(): void {
    this.#running ??= this.#sweep()
      .catch((error: unknown) => this.#report(error as Error))
      .finally(() => (this.#running = undefined));
  }

  async close(): Promise<void> {
    await this.#running;
    await this.#round?.close();
    this.#round = undefined;
  }

  async #sweep(): Promise<void> {
    const { fs } = this.#directory.modules;
    const parent = `${this.#directory.path}/${this.#kind}`;
    this.#round ??= await fs.opendir(parent);
    for (let looked = 0; looked < BATCH; looked++) {
      const entry = await this.#round.read();
      if (entry === null) {
        await this.#round.close();
        this.#round = undefined;
        return this.#emptyTrash();
      }
      await this.#look(`${parent}/${entry.name}`);
    }
  }

  async #look(path: string): Promise<void> {
    const { fs } = this.#directory.modules;
    const names = (await fs.readdir(path).catch(ignore('ENOENT', 'ENOTDIR'))) ?? [];
    for (const name of names) if (name.endsWith('.tmp')) await this.#removeAbandoned(`${path}/${name}`);
    // A corrupt file that was set aside is kept for an operator to examine.
    if (names.some(name => name.includes('.corrupt-'))) return;
    if (await this.#isOver(path)) await this.#bury(path);
  }

  /** Moves the directory first, so that it exists completely or not at all. */
  async #bury(path: string): Promise<void> {
    const { fs, crypto } = this.#directory.modules;
    const grave = `${this.#directory.path}/trash/${crypto.randomUUID()}`;
    if ((await fs.rename(path, grave).then(() => true, ignore('ENOENT'))) === undefined) return;
    // If this process paused before the move, others may have removed the session and begun one with its id.
    if (await this.#isOver(grave)) await fs.rm(grave, { recursive: true, force: true });
    else await fs.rename(grave, path);
  }

  async #emptyTrash(): Promise<void> {
    const { fs } = this.#directory.modules;
    const trash = `${this.#directory.path}/trash`;
    for (const name of await fs.readdir(trash)) await this.#removeAbandoned(`${trash}/${name}`);
  }

  async #removeAbandoned(path: string): Promise<void> {
    const { fs } = this.#directory.modules;
    const stats = await fs.stat(path).catch(ignore('ENOENT'));
    if (!stats || Date.now() - Math.max(stats.mtimeMs, stats.ctimeMs) < ABANDONED_MS) return;
    await fs.rm(path, { recursive: true, force: true });
  }
}
