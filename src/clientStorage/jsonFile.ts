import { KeyedQueue } from '../backends/shared/keyedQueue.js';
import { pause } from '../deadline.js';
import { InvalidOptionError, SessionStoreUnavailableError } from '../errors.js';
import type { OAuthProgress, ClientSession } from '../clientSessions/record.js';
import { type NodeModules, nodeModules } from './node.js';
import { SessionTable, TableSessions } from './table.js';
import { Date } from '../timers.js';

/** One session in the file: its fields, and two of this package. */
type FileEntry = ClientSession & { lastUsed?: number; oauth?: OAuthProgress };

/** A process that has held the lock for so long is dead: a write takes milliseconds. */
const STALE_LOCK_MS = 10_000;
const ASK_AGAIN_MS = 10;
const OWNER_ONLY = 0o600;

/** Work of this process on a file runs one after the other. */
const queue = new KeyedQueue();

/**
 * Client sessions in one readable JSON file: an array of sessions. The file is read for each call and replaced as a whole
 * by each change, so changes by an editor or by another process of this host are kept. Entries that are not sessions
 * stay in the file. A file that is not such an array is never written.
 */
export class JsonFileSessions extends TableSessions {
  readonly #fs: NodeModules['fs'];
  readonly #path: string;
  readonly #ttlSeconds: number;

  private constructor(fs: NodeModules['fs'], path: string, ttlSeconds: number) {
    super();
    this.#fs = fs;
    this.#path = path;
    this.#ttlSeconds = ttlSeconds;
  }

  /**
   * Creates the file and its directory if they are missing.
   * @throws InvalidOptionError, SessionStoreUnavailableError
   */
  static async open(path: string, ttlSeconds: number): Promise<JsonFileSessions> {
    const { fs, path: nodePath } = nodeModules();
    const absolute = nodePath.resolve(path);
    const file = new JsonFileSessions(fs, absolute, ttlSeconds);
    try {
      await fs.mkdir(nodePath.dirname(absolute), { recursive: true });
      await fs.writeFile(absolute, '[]\n', { flag: 'wx', mode: OWNER_ONLY }).catch(ignore('EEXIST'));
      await file.transact(() => {});
    } catch (error) {
      if (codeOf(error) === 'EISDIR') {
        throw new InvalidOptionError('path', 'the path of a directory', 'the path of a JSON file');
      }
      if (codeOf(error) === undefined || error instanceof SessionStoreUnavailableError) throw error;
      throw new SessionStoreUnavailableError(`Client sessions cannot be kept in ${absolute}`, { cause: error });
    }
    return file;
  }

  async close(): Promise<void> {}

  protected transact<T>(work: (table: SessionTable) => T): Promise<T> {
    return queue.run(this.#path, async () => {
      const unlock = await this.#lock();
      try {
        const others: unknown[] = [];
        const table = this.#tableOf(await this.#fs.readFile(this.#path, 'utf8').catch(ignore('ENOENT')), others);
        const result = work(table);
        if (table.isChanged) await this.#save(table, others);
        return result;
      } finally {
        await unlock();
      }
    });
  }

  /** @param others - receives the entries that are not sessions */
  #tableOf(text: string | undefined, others: unknown[]): SessionTable {
    let entries: unknown;
    try {
      entries = text === undefined || text.trim() === '' ? [] : JSON.parse(text);
    } catch {
      // The parser's message quotes the text, which contains tokens.
    }
    if (!Array.isArray(entries)) {
      throw new SessionStoreUnavailableError(
        `${this.#path} is not a JSON array of client sessions, and was left as it is: correct it, or name another file`
      );
    }
    const table = new SessionTable(this.#ttlSeconds);
    for (const entry of entries as (Partial<FileEntry> | null)[]) {
      if (typeof entry?.sessionId !== 'string' || typeof entry.identity !== 'string') {
        others.push(entry);
        continue;
      }
      const { lastUsed, oauth = {}, ...session } = entry as FileEntry;
      const complete = {
        ...session,
        transportType: session.transportType ?? 'streamable_http',
        active: session.active ?? false
      };
      table.put({ v: 1, session: complete, oauth }, lastUsed ?? Date.now());
    }
    table.isChanged = false;
    return table;
  }

  async #save(table: SessionTable, others: readonly unknown[]): Promise<void> {
    const entries = table.all().map(({ stored: { session, oauth }, usedAt }) => ({
      ...session,
      lastUsed: usedAt,
      ...(Object.keys(oauth).length > 0 && { oauth })
    }));
    const draft = `${this.#path}.${globalThis.crypto.randomUUID()}.tmp`;
    try {
      const file = await this.#fs.open(draft, 'wx', OWNER_ONLY);
      try {
        await file.writeFile(`${JSON.stringify([...entries, ...others], null, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await this.#fs.rename(draft, this.#path);
    } catch (error) {
      await this.#fs.unlink(draft).catch(ignore('ENOENT'));
      throw error;
    }
  }

  /** Keeps other processes out. @returns a function that lets them in */
  async #lock(): Promise<() => Promise<void>> {
    const path = `${this.#path}.lock`;
    for (;;) {
      try {
        await this.#fs.writeFile(path, '', { flag: 'wx' });
        return async () => void (await this.#fs.unlink(path).catch(ignore('ENOENT')));
      } catch (error) {
        ignore('EEXIST')(error);
      }
      const stats = await this.#fs.stat(path).catch(ignore('ENOENT'));
      if (stats && Date.now() - stats.mtimeMs > STALE_LOCK_MS) await this.#fs.unlink(path).catch(ignore('ENOENT'));
      else await pause(ASK_AGAIN_MS);
    }
  }
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string }).code;
}

function ignore(code: string): (error: unknown) => undefined {
  return error => {
    if (codeOf(error) !== code) throw error;
  };
}
