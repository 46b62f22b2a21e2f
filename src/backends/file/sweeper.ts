import type { Dir } from 'node:fs';
import { ignore, type Kind, type StoreDirectory } from './storeDirectory.js';
import { Date } from '../../timers.js';

/** Looked at in one go. */
const BATCH = 8;
/** What is left of a write, or of a removal, that somebody died over is that old. */
export const ABANDONED_MS = 60_000;

/**
 * Removes what has expired, a few directories at a time: each creation of a session looks at some, and goes on where the
 * last one has stopped.
 */
export class Sweeper {
  readonly #directory: StoreDirectory;
  readonly #kind: Kind;
  readonly #isOver: (path: string) => Promise<boolean>;
  readonly #report: (error: Error) => void;
  #round: Dir | undefined;
  #running: Promise<void> | undefined;

  /** @param isOver - whether nothing in a directory of this kind will be asked for any more */
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

  /** Sweeps a little, unless that is under way. Nobody needs to wait for it. */
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
    // What was set aside waits for somebody to look into it.
    if (names.some(name => name.includes('.corrupt-'))) return;
    if (await this.#isOver(path)) await this.#bury(path);
  }

  /** Moved away first, so that it is there as a whole or not at all. */
  async #bury(path: string): Promise<void> {
    const { fs, crypto } = this.#directory.modules;
    const grave = `${this.#directory.path}/trash/${crypto.randomUUID()}`;
    if ((await fs.rename(path, grave).then(() => true, ignore('ENOENT'))) === undefined) return;
    // If this process stood still before the move, others may have removed the session and begun one with its id.
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
