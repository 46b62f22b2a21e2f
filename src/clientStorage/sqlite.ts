import {
  BackendUnavailableError,
  InvalidOptionError,
  SessionExistsError,
  SessionRecordUnreadableError
} from '../errors.js';
import type { ClientSessionBackend } from '../clientSessions/clientSessionStore.js';
import type { ClientSession, OAuthProgress, StoredClientSession } from '../clientSessions/record.js';
import { kindOf } from '../validate.js';
import { nodeModules } from './node.js';
import { builtInModule } from '../runtime.js';
import { Date, performance } from '../timers.js';
import { pause } from '../deadline.js';

/** The parts of `node:sqlite` that are used. */
interface Statement {
  run(...values: (string | number | null)[]): { changes: number | bigint };
  get(...values: (string | number | null)[]): unknown;
  all(...values: (string | number | null)[]): unknown[];
}
interface Database {
  exec(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}
interface Sqlite {
  DatabaseSync: new (path: string) => Database;
}

/** How long a call waits for another process. */
const BUSY_MS = 2000;
const RETRY_MS = 10;

interface Row {
  sessionId: string;
  data: string;
}

/**
 * Client sessions in a SQLite database, by Node's own module: a row for each session, with the session as JSON. Several
 * processes of one host may use it.
 */
export class SqliteSessions implements ClientSessionBackend {
  readonly #database: Database;
  readonly #table: string;
  readonly #ttlMs: number;

  private constructor(database: Database, table: string, ttlSeconds: number) {
    this.#database = database;
    this.#table = table;
    this.#ttlMs = ttlSeconds * 1000;
  }

  /** @throws BackendUnavailableError, InvalidOptionError */
  static async open(path: string, table: string, ttlSeconds: number): Promise<SqliteSessions> {
    if (!/^[A-Za-z_]\w{0,62}$/.test(table)) {
      throw new InvalidOptionError('table', kindOf(table), 'letters, digits and _, at most 63');
    }
    const { DatabaseSync } = sqlite();
    const { fs, path: nodePath } = nodeModules();
    try {
      if (path !== ':memory:') await fs.mkdir(nodePath.dirname(nodePath.resolve(path)), { recursive: true });
      const database = new DatabaseSync(path);
      database.exec(`pragma busy_timeout = ${BUSY_MS}`);
      await whenUnlocked(() =>
        database.exec(`
        pragma journal_mode = wal;
        create table if not exists ${table} (
          sessionId text primary key, identity text not null, data text not null, expiresAt integer
        );
        create index if not exists idx_${table}_identity on ${table} (identity);`)
      );
      return new SqliteSessions(database, table, ttlSeconds);
    } catch (error) {
      throw new BackendUnavailableError(`SQLite cannot use ${path} (${(error as Error).message})`);
    }
  }

  async create(session: ClientSession): Promise<void> {
    const { sessionId, identity } = session;
    this.#prepare(`delete from # where sessionId = ? and expiresAt <= ?`).run(sessionId, Date.now());
    const { changes } = this.#prepare(
      'insert into # (sessionId, identity, data, expiresAt) values (?, ?, ?, ?) on conflict do nothing'
    ).run(sessionId, identity, JSON.stringify(session), this.#expiry());
    if (Number(changes) === 0) throw new SessionExistsError('A session with this id exists');
  }

  async read(identity: string, sessionId: string): Promise<StoredClientSession | null> {
    return this.#read(identity, sessionId);
  }

  async refresh(sessionId: string, identity: string): Promise<void> {
    this.#prepare('update # set expiresAt = ? where sessionId = ? and identity = ?').run(
      this.#expiry(),
      sessionId,
      identity
    );
  }

  async change(
    identity: string,
    sessionId: string,
    step: (stored: StoredClientSession) => StoredClientSession | undefined
  ): Promise<StoredClientSession | null> {
    this.#database.exec('begin immediate');
    try {
      const stored = this.#read(identity, sessionId);
      const next = stored && step(stored);
      if (next) {
        const { session, oauth } = next;
        const data = JSON.stringify({ ...session, ...(Object.keys(oauth).length > 0 && { oauth }) });
        this.#prepare('update # set data = ?, expiresAt = ? where sessionId = ?').run(data, this.#expiry(), sessionId);
      }
      this.#database.exec('commit');
      return next ?? stored;
    } catch (error) {
      this.#database.exec('rollback');
      throw error;
    }
  }

  async remove(identity: string, sessionId: string): Promise<boolean> {
    const existed = this.#read(identity, sessionId) !== null;
    this.#prepare('delete from # where sessionId = ? and identity = ?').run(sessionId, identity);
    return existed;
  }

  async *ofIdentity(identity: string): AsyncIterable<StoredClientSession[]> {
    const rows = this.#prepare(`select sessionId, data from # where identity = ? and ${LIVE}`);
    yield (rows.all(identity, Date.now()) as Row[]).map(storedOf);
  }

  async *all(): AsyncIterable<StoredClientSession[]> {
    this.#prepare('delete from # where expiresAt <= ?').run(Date.now());
    yield (this.#prepare('select sessionId, data from #').all() as Row[]).map(storedOf);
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  #read(identity: string, sessionId: string): StoredClientSession | null {
    const statement = this.#prepare(`select sessionId, data from # where sessionId = ? and identity = ? and ${LIVE}`);
    const row = statement.get(sessionId, identity, Date.now()) as Row | undefined;
    return row ? storedOf(row) : null;
  }

  #prepare(sql: string): Statement {
    return this.#database.prepare(sql.replace('#', this.#table));
  }

  #expiry(): number {
    return Date.now() + this.#ttlMs;
  }
}

/** A row without a time never expires. Parameter: the time now. */
const LIVE = '(expiresAt is null or expiresAt > ?)';

function storedOf({ data }: Row): StoredClientSession {
  try {
    const { oauth = {}, ...session } = JSON.parse(data) as ClientSession & { oauth?: OAuthProgress };
    return { v: 1, session, oauth };
  } catch {
    // The parser's message quotes the text, which contains tokens.
    throw new SessionRecordUnreadableError('A client session in SQLite is not JSON');
  }
}

/** If two processes create a database at the same time, SQLite refuses one of them without waiting for `busy_timeout`. */
async function whenUnlocked(work: () => void): Promise<void> {
  for (const until = performance.now() + BUSY_MS; ; await pause(RETRY_MS)) {
    try {
      return work();
    } catch (error) {
      if (!(error as Error).message.includes('locked') || performance.now() >= until) throw error;
    }
  }
}

/** @throws BackendUnavailableError */
function sqlite(): Sqlite {
  const found = builtInModule<Sqlite>('node:sqlite');
  if (found) return found;
  const version = globalThis.process?.version ?? 'unknown';
  throw new BackendUnavailableError(
    `This runtime (Node ${version}) has no node:sqlite: use Node 22.13 or later, or another storage type`
  );
}
