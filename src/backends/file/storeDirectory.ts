import type * as nodeCrypto from 'node:crypto';
import type * as nodeFs from 'node:fs/promises';
import type * as nodePath from 'node:path';
import { InvalidOptionError, SessionStoreUnavailableError } from '../../errors.js';
import { builtInModule } from '../../runtime.js';

/** Taken from the runtime when a store is used. Bundlers for other runtimes would not find them if they were imported. */
export interface NodeModules {
  readonly fs: typeof nodeFs;
  readonly crypto: typeof nodeCrypto;
}

/** The format of the directory and of every file in it. {@link STORE_MARKER} in a directory names its format. */
export const FORMAT = 1;

export const STORE_MARKER = 'anypod-sessions.json';
const OWNER_ONLY = 0o700;
const WRITABLE_BY_OTHERS = 0o022;
const SUBDIRECTORIES = ['sessions', 'locks', 'trash'] as const;
const OWN = 'a directory that holds sessions and nothing else';
export const FILE_MODE = 0o600;

/** Kinds of data by session. Each session has its own directory in one of these. */
export type Kind = 'sessions' | 'locks';

/**
 * The directory of a store:
 *
 *     anypod-sessions.json             the format
 *     sessions/<sha256 of the id>/     a session's record and its state
 *     locks/<sha256 of the id>/        the queue for a session's lock
 *     trash/                           directories that are being removed
 *
 * Names are hashes, so an id is never used as a path, and ids that differ in case stay separate on any file system.
 */
export class StoreDirectory {
  readonly modules: NodeModules;
  readonly path: string;

  private constructor(modules: NodeModules, path: string) {
    this.modules = modules;
    this.path = path;
  }

  /**
   * @throws InvalidOptionError if the path cannot be a store
   * @throws SessionStoreUnavailableError if this process cannot use it
   */
  static async open(path: string, warn: (message: string) => void): Promise<StoreDirectory> {
    const modules = {
      fs: builtIn<typeof nodeFs>('node:fs/promises'),
      crypto: builtIn<typeof nodeCrypto>('node:crypto')
    };
    const directory = new StoreDirectory(modules, builtIn<typeof nodePath>('node:path').resolve(path));
    try {
      await directory.#prepare(warn);
    } catch (error) {
      throw explained(error, directory.path);
    }
    return directory;
  }

  ofSession(kind: Kind, sessionId: string): string {
    const name = this.modules.crypto.createHash('sha256').update(sessionId).digest('hex');
    return `${this.path}/${kind}/${name}`;
  }

  /** Runs a function in the directory of a session. Creates it if it is missing, and again if it is swept meanwhile. */
  async within<R>(kind: Kind, sessionId: string, run: (path: string) => Promise<R>): Promise<R> {
    const path = this.ofSession(kind, sessionId);
    for (let attempt = 0; attempt < 5; attempt++) {
      try {
        await this.make(path, { durable: kind === 'sessions' });
        return await run(path);
      } catch (error) {
        ignore('ENOENT')(error);
        await this.checkPresence();
      }
    }
    throw new SessionStoreUnavailableError('The directory of a session is removed again and again');
  }

  async make(directory: string, { durable }: { durable: boolean }): Promise<void> {
    try {
      await this.modules.fs.mkdir(directory, { mode: OWNER_ONLY });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      return;
    }
    if (durable) await syncDirectory(this.modules, directory.slice(0, directory.lastIndexOf('/')));
  }

  /**
   * A session is missing only if the store is present: not if a disk was detached or the directory was removed.
   * @throws SessionStoreUnavailableError
   */
  async checkPresence(): Promise<void> {
    try {
      await this.modules.fs.access(`${this.path}/${STORE_MARKER}`);
    } catch (error) {
      throw new SessionStoreUnavailableError(
        `${this.path} is no longer a session store: put the directory back, or restart to begin a new one`,
        { cause: error }
      );
    }
  }

  async #prepare(warn: (message: string) => void): Promise<void> {
    const { fs } = this.modules;
    await fs.mkdir(this.path, { recursive: true, mode: OWNER_ONLY });
    // Before the first write: a user with write access here can read, change and end every session.
    await this.#checkMode(this.path, warn);
    for (const kind of SUBDIRECTORIES) await this.#checkIsOwn(`${this.path}/${kind}`, warn);
    const probe = `${this.path}/${this.modules.crypto.randomUUID()}.tmp`;
    await fs.writeFile(probe, `${JSON.stringify({ format: FORMAT })}\n`, { flag: 'wx', mode: FILE_MODE });
    try {
      // A hard link creates a complete file, and only if none exists. Some file systems do not support it.
      await fs.link(probe, `${this.path}/${STORE_MARKER}`).catch(ignore('EEXIST'));
    } finally {
      await fs.unlink(probe);
    }
    this.#checkFormat(await fs.readFile(`${this.path}/${STORE_MARKER}`, 'utf8'));
    for (const kind of SUBDIRECTORIES) await this.make(`${this.path}/${kind}`, { durable: true });
  }

  /** A link could put sessions in a place that another user has chosen. */
  async #checkIsOwn(path: string, warn: (message: string) => void): Promise<void> {
    const stats = await this.modules.fs.lstat(path).catch(ignore('ENOENT'));
    if (stats === undefined) return;
    if (!stats.isDirectory()) {
      const kind = stats.isSymbolicLink() ? 'a symbolic link' : 'a file';
      throw new InvalidOptionError('path', `a directory in which ${path.slice(this.path.length + 1)} is ${kind}`, OWN);
    }
    await this.#checkMode(path, warn);
  }

  async #checkMode(path: string, warn: (message: string) => void): Promise<void> {
    const { mode } = await this.modules.fs.stat(path);
    // Windows does not show the rights of others.
    if ((mode & WRITABLE_BY_OTHERS) === 0 || globalThis.process?.platform === 'win32') return;
    const octal = (mode & 0o777).toString(8);
    warn(`other users may write to ${path} (mode ${octal}), and so read, change and end sessions: set its mode to 700`);
  }

  #checkFormat(text: string): void {
    const marker = parseObject(text);
    if (marker?.format === FORMAT) return;
    const newer = typeof marker?.format === 'number' && marker.format > FORMAT;
    const problem = newer
      ? 'a directory that a newer version of this package has written'
      : `a directory whose ${STORE_MARKER} cannot be understood`;
    const remedy = newer
      ? 'upgrade this package, or use another directory'
      : 'restore that file, or use another directory';
    throw new InvalidOptionError('path', problem, `one in format ${FORMAT}: ${remedy}`);
  }
}

/** @throws SessionStoreUnavailableError if the runtime does not have the module */
function builtIn<T extends object>(name: string): T {
  const module = builtInModule<T>(name);
  if (module === undefined) throw new SessionStoreUnavailableError('This runtime has no file system');
  return module;
}

export function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

/** @returns a rejection handler that ignores these error codes */
export function ignore(...codes: string[]): (error: unknown) => undefined {
  return error => {
    if (!codes.includes(codeOf(error) ?? '')) throw error;
    return undefined;
  };
}

/** Makes names in a directory survive a power failure, if the system supports it. */
export async function syncDirectory({ fs }: NodeModules, directory: string): Promise<void> {
  const handle = await fs.open(directory, 'r').catch(ignore('EISDIR', 'EPERM', 'EACCES'));
  try {
    await handle?.sync().catch(ignore('EINVAL', 'EPERM', 'ENOTSUP', 'EISDIR'));
  } finally {
    await handle?.close();
  }
}

function explained(error: unknown, path: string): unknown {
  const code = codeOf(error) ?? '';
  const allowed = 'a directory on a local disk, or a path where one can be made';
  if (['EEXIST', 'ENOTDIR'].includes(code))
    return new InvalidOptionError('path', 'a file, or a path within one', allowed);
  const remedies: Record<string, string> = {
    EROFS: 'the file system is read-only: mount it for writing, or use another path',
    EACCES: 'this process may not write there: change the owner or the mode of the directory, or use another path',
    EPERM: 'the file system refuses what is asked, perhaps hard links: use a directory on a local disk',
    ENOTSUP: 'the file system has no hard links: use a directory on a local disk',
    ENOSPC: 'the disk is full'
  };
  const remedy = remedies[code];
  return remedy === undefined
    ? error
    : new SessionStoreUnavailableError(`Sessions cannot be kept in ${path}: ${remedy}`, { cause: error });
}
