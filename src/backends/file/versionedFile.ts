import { pause } from '../../deadline.js';
import { SessionStoreUnavailableError } from '../../errors.js';
import { KeyedQueue } from '../shared/keyedQueue.js';
import { FILE_MODE, FORMAT, ignore, type NodeModules, parseObject, syncDirectory } from './storeDirectory.js';
import { Date } from '../../timers.js';

/** The content of a file, without the fields that {@link VersionedFile} adds. */
export type Content = Record<string, unknown>;

/** The newest version of a file. */
export interface Version {
  readonly number: number;
  /** When it was written or last touched: epoch milliseconds. */
  readonly touchedAt: number;
  readonly path: string;
  /** Absent if the file cannot be read: then there is a {@link problem}. */
  readonly content?: Content;
  readonly problem?: string;
  readonly writes: readonly string[];
}

export interface FileOptions {
  /** Whether a write survives a power failure. If not, it survives only the process. */
  durable: boolean;
  /** Whether the caller can have written this content. */
  isValid: (content: Content) => boolean;
  onSetAside: (path: string) => void;
}

type Change<R> = (
  current: Version | undefined
) => Promise<{ next?: Content; result: R }> | { next?: Content; result: R };

interface Found {
  head?: { number: number; name: string; setAside: boolean };
  /** The names of versions that are not the newest. */
  older: string[];
}

/** How many of the writes that led to a version are named in it. */
const NAMED_WRITES = 32;
const MAX_ATTEMPTS = 500;
/** How often a directory without a version is read again: a new version may be replacing the one before. */
const EMPTY_LOOKS = 4;
/** How long an editor may leave a file half written. */
const EDITED_MS = 50;

/** Writers of this process write a file one after the other, so that they do not compete on the disk. */
const writers = new KeyedQueue();

/**
 * A small JSON file that several processes change concurrently. Any of them may be killed at any moment. A dead process
 * cannot leave a lock, because there is none: each version is a separate file, `<name>.<number>.json`, and the newest
 * counts. A writer writes a temporary file and links it to the next number, which succeeds for one writer only. The
 * others start again from the version of that writer. Then the older version is removed.
 *
 * A process paused between reading and linking may find its stale number free again, because newer versions exist. So
 * a writer reads again after its link, and has succeeded only if the newest version descends from its own.
 */
export class VersionedFile {
  readonly #modules: NodeModules;
  readonly #directory: string;
  readonly #name: string;
  readonly #options: FileOptions;

  constructor(modules: NodeModules, directory: string, name: string, options: FileOptions) {
    this.#modules = modules;
    this.#directory = directory;
    this.#name = name;
    this.#options = options;
  }

  /** The newest version, without its content; undefined if there is none. */
  async head(): Promise<Version | undefined> {
    return this.#newest(async (head, path) => {
      const { mtimeMs } = await this.#modules.fs.stat(path);
      return { ...head, touchedAt: mtimeMs, path, writes: [] };
    });
  }

  /** The newest version; undefined if there is none. An unreadable one is renamed, once, and stays the newest. */
  async read(): Promise<Version | undefined> {
    return this.#newest(async ({ number, setAside }, path) => {
      const { fs } = this.#modules;
      const { mtimeMs: touchedAt } = await fs.stat(path);
      const found = { number, touchedAt, path, writes: [] };
      if (setAside) return { ...found, problem: `it was set aside as ${path}` };
      const understood = this.#understand(found, await fs.readFile(path, 'utf8'));
      if (understood) return understood;
      // An editor may be writing it right now.
      await pause(EDITED_MS);
      return this.#understand(found, await fs.readFile(path, 'utf8')) ?? (await this.#setAside(found));
    });
  }

  /**
   * Changes the file in one atomic step.
   * @param change - receives the newest version and returns the replacement, if any. It is called again if
   *   another writer was faster.
   * @param options.repeatable - whether the change may be made twice, if that number of other writes followed and it is
   *   unknown whether it was made
   * @throws SessionStoreUnavailableError
   */
  async update<R>(change: Change<R>, { repeatable = true }: { repeatable?: boolean } = {}): Promise<R> {
    return writers.run(`${this.#directory}/${this.#name}`, () => this.#update(change, repeatable));
  }

  async #update<R>(change: Change<R>, repeatable: boolean): Promise<R> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      // Random delays, so that writers that collided do not collide again.
      if (attempt > 0) await pause(Math.random() * Math.min(attempt, 10));
      const current = await this.read();
      const { next, result } = await change(current);
      if (next === undefined) return result;
      const written = await this.#write(current, next);
      if (written === 'yes') return result;
      if (written === 'unknown' && !repeatable) break;
    }
    throw new SessionStoreUnavailableError(
      'Others write the same file all the time: it is unknown whether this was written'
    );
  }

  /** Sets the time of a version to now. @returns false if there is a newer one */
  async touch({ path }: Version): Promise<boolean> {
    const now = Date.now() / 1000;
    try {
      await this.#modules.fs.utimes(path, now, now);
      return true;
    } catch (error) {
      ignore('ENOENT')(error);
      return false;
    }
  }

  async removeAll(): Promise<void> {
    const { head, older } = await this.#scan();
    await this.#remove(head && !head.setAside ? [...older, head.name] : older);
  }

  async #newest(
    look: (head: NonNullable<Found['head']>, path: string) => Promise<Version>
  ): Promise<Version | undefined> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { head } = await this.#scan();
      if (!head) return undefined;
      try {
        return await look(head, `${this.#directory}/${head.name}`);
      } catch (error) {
        // A newer version has replaced it meanwhile.
        ignore('ENOENT')(error);
      }
    }
    throw new SessionStoreUnavailableError('Others write the same file all the time: it could not be read');
  }

  async #scan(): Promise<Found> {
    for (let look = 1; ; look++) {
      const names = await this.#modules.fs.readdir(this.#directory).catch(ignore('ENOENT'));
      const found: Found = { older: [] };
      for (const name of names ?? []) this.#sort(name, found);
      if (found.head || names === undefined || look >= EMPTY_LOOKS) return found;
      await pause(1);
    }
  }

  #sort(name: string, found: Found): void {
    const match = /^(\w+)\.([1-9]\d{0,14})\.json(\.corrupt-\d+)?$/.exec(name);
    if (match?.[1] !== this.#name) return;
    const candidate = { number: Number(match[2]), name, setAside: match[3] !== undefined };
    const { head } = found;
    const [newer, older] = !head || candidate.number > head.number ? [candidate, head] : [head, candidate];
    found.head = newer;
    if (older && !older.setAside) found.older.push(older.name);
  }

  #understand(found: Version, text: string): Version | undefined {
    const { writes, format, ...content } = parseObject(text) ?? {};
    if (typeof format === 'number' && format > FORMAT) {
      return { ...found, problem: `a newer version of this package has written ${found.path}: upgrade this one` };
    }
    const good = format === FORMAT && typeof writes === 'string' && this.#options.isValid(content);
    return good ? { ...found, content, writes: writes.split(' ') } : undefined;
  }

  async #setAside(found: Version): Promise<Version> {
    const path = `${found.path}.corrupt-${Date.now()}`;
    await this.#modules.fs.rename(found.path, path);
    this.#options.onSetAside(path);
    return { ...found, path, problem: `it was set aside as ${path}` };
  }

  async #write(current: Version | undefined, next: Content): Promise<'yes' | 'no' | 'unknown'> {
    const { fs, crypto } = this.#modules;
    const number = (current?.number ?? 0) + 1;
    const nonce = crypto.randomBytes(6).toString('hex');
    const writes = [...(current?.writes ?? []), nonce].slice(-NAMED_WRITES).join(' ');
    const path = `${this.#directory}/${this.#name}.${number}.json`;
    const temporary = `${path}.${nonce}.tmp`;
    await this.#writeWhole(temporary, `${JSON.stringify({ format: FORMAT, ...next, writes }, null, 2)}\n`);
    try {
      await fs.link(temporary, path);
    } catch (error) {
      ignore('EEXIST')(error);
      return 'no';
    } finally {
      await fs.unlink(temporary).catch(ignore('ENOENT'));
    }
    if (this.#options.durable) await syncDirectory(this.#modules, this.#directory);
    return this.#confirm(number, nonce, path);
  }

  async #writeWhole(path: string, text: string): Promise<void> {
    const file = await this.#modules.fs.open(path, 'wx', FILE_MODE);
    try {
      await file.writeFile(text);
      if (this.#options.durable) await file.sync();
    } finally {
      await file.close();
    }
  }

  /** Whether the linked version is the newest, or the newest descends from it. */
  async #confirm(number: number, nonce: string, path: string): Promise<'yes' | 'no' | 'unknown'> {
    const { head, older } = await this.#scan();
    if (head?.number === number) {
      await this.#remove(older);
      return 'yes';
    }
    const newest = await this.read();
    if (newest?.writes.includes(nonce)) return 'yes';
    await this.#modules.fs.unlink(path).catch(ignore('ENOENT'));
    const named = newest !== undefined && newest.problem === undefined && newest.number - number < NAMED_WRITES;
    return named ? 'no' : 'unknown';
  }

  async #remove(names: readonly string[]): Promise<void> {
    // Some systems cannot remove a file that another process has open; the next writer removes it.
    await Promise.all(
      names.map(name => this.#modules.fs.unlink(`${this.#directory}/${name}`).catch(ignore('ENOENT', 'EPERM', 'EBUSY')))
    );
  }
}
