import { SessionExistsError } from '../errors.js';
import type { ClientSessionBackend } from '../clientSessions/clientSessionStore.js';
import type { ClientSession, StoredClientSession } from '../clientSessions/record.js';
import { Date } from '../timers.js';

/** A session and when it was last used, in epoch milliseconds. */
export interface Entry {
  readonly stored: StoredClientSession;
  readonly usedAt: number;
}

/** The use of a session is recorded at most once in this time. */
const USE_RESOLUTION_MS = 60_000;

/** Sessions by identity and id, in memory. */
export class SessionTable {
  readonly #entries = new Map<string, Entry>();
  readonly #ttlMs: number;
  /** Whether something has changed since the table was loaded. */
  isChanged = false;

  constructor(ttlSeconds: number) {
    this.#ttlMs = ttlSeconds * 1000;
  }

  get(identity: string, sessionId: string): Entry | undefined {
    const entry = this.#entries.get(keyOf(identity, sessionId));
    return entry && !this.#isExpired(entry) ? entry : undefined;
  }

  put(stored: StoredClientSession, usedAt: number = Date.now()): void {
    const { identity, sessionId } = stored.session;
    this.#entries.set(keyOf(identity, sessionId), { stored, usedAt });
    this.isChanged = true;
  }

  delete(identity: string, sessionId: string): boolean {
    const existed = this.get(identity, sessionId) !== undefined;
    if (this.#entries.delete(keyOf(identity, sessionId))) this.isChanged = true;
    return existed;
  }

  /** All that have not expired; the others are removed. */
  all(): Entry[] {
    for (const [key, entry] of this.#entries) if (this.#isExpired(entry)) this.#entries.delete(key);
    return [...this.#entries.values()];
  }

  #isExpired({ usedAt }: Entry): boolean {
    return Date.now() - usedAt >= this.#ttlMs;
  }
}

/** Client sessions in a table that a subclass keeps. Each method is one transaction. */
export abstract class TableSessions implements ClientSessionBackend {
  /** Runs `work` on the table while no other work runs, and saves the table if it has changed. */
  protected abstract transact<T>(work: (table: SessionTable) => T): Promise<T>;

  abstract close(): Promise<void>;

  create(session: ClientSession): Promise<void> {
    return this.transact(table => {
      if (table.get(session.identity, session.sessionId)) {
        throw new SessionExistsError('This identity has a session with this id');
      }
      table.put({ v: 1, session, oauth: {} });
    });
  }

  read(identity: string, sessionId: string): Promise<StoredClientSession | null> {
    return this.transact(table => structuredClone(table.get(identity, sessionId)?.stored ?? null));
  }

  refresh(sessionId: string, identity: string): Promise<void> {
    return this.transact(table => {
      const entry = table.get(identity, sessionId);
      if (entry && Date.now() - entry.usedAt >= USE_RESOLUTION_MS) table.put(entry.stored);
    });
  }

  change(
    identity: string,
    sessionId: string,
    step: (stored: StoredClientSession) => StoredClientSession | undefined
  ): Promise<StoredClientSession | null> {
    return this.transact(table => {
      const entry = table.get(identity, sessionId);
      if (!entry) return null;
      const next = step(structuredClone(entry.stored));
      if (next === undefined) return structuredClone(entry.stored);
      table.put(structuredClone(next));
      return next;
    });
  }

  remove(identity: string, sessionId: string): Promise<boolean> {
    return this.transact(table => table.delete(identity, sessionId));
  }

  async *ofIdentity(identity: string): AsyncIterable<StoredClientSession[]> {
    const all = await this.transact(table => structuredClone(table.all().map(({ stored }) => stored)));
    yield all.filter(({ session }) => session.identity === identity);
  }

  async *all(): AsyncIterable<StoredClientSession[]> {
    yield await this.transact(table => structuredClone(table.all().map(({ stored }) => stored)));
  }
}

/** Client sessions in the memory of this process. */
export class MemorySessions extends TableSessions {
  readonly #table: SessionTable;

  constructor(ttlSeconds: number) {
    super();
    this.#table = new SessionTable(ttlSeconds);
  }

  protected async transact<T>(work: (table: SessionTable) => T): Promise<T> {
    return work(this.#table);
  }

  async close(): Promise<void> {}
}

function keyOf(identity: string, sessionId: string): string {
  return JSON.stringify([identity, sessionId]);
}
