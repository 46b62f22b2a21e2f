import { SessionExistsError } from 'mcp-sdk-anypod';
import type { SessionData, SessionOwner, SessionPatch, SessionStore } from 'mcp-sdk-anypod';
import { applyPatch, checkSessionData, ownerOf } from '../../src/ports/sessionStore.js';

const TOMBSTONE_MS = 60_000;

interface Entry {
  readonly data: SessionData;
  readonly refreshedAt: number;
}

interface State {
  entry: Entry | undefined;
  deletedAt: number | undefined;
}

/**
 * The simulated session store: one server that all pods share, with replicas to which it writes a little later. It keeps the
 * contract of `SessionStore`. A failover loses its last writes.
 */
export class SimStore implements SessionStore {
  readonly ttlSeconds: number;
  readonly #now: () => number;
  /** The amount by which a change raises the revision: random, so that a revision is not given twice after a failover. */
  readonly #raise: () => number;
  readonly #states = new Map<string, State>();
  /** What each write replaced, oldest first. */
  readonly #replaced: { readonly at: number; readonly id: string; readonly state: State | undefined }[] = [];

  constructor(ttlSeconds: number, now: () => number, raise: () => number = () => 1) {
    this.ttlSeconds = ttlSeconds;
    this.#now = now;
    this.#raise = raise;
  }

  async storeSession(id: string, data: SessionData): Promise<void> {
    checkSessionData(data);
    if (this.#live(id) || this.#isTombstoned(id)) {
      throw new SessionExistsError('A session with this id exists, or was deleted a moment ago');
    }
    this.#write(id, { data: { ...copyOf(data), revision: this.#raise() }, refreshedAt: this.#now() });
  }

  /** As a store of only the five required methods: it replaces what is there. */
  async replaceSession(id: string, data: SessionData): Promise<void> {
    const replaced = copyOf(data);
    delete replaced.revision;
    this.#write(id, { data: replaced, refreshedAt: this.#now() });
  }

  async getSession(id: string): Promise<SessionData | null> {
    const entry = this.#live(id);
    return entry ? copyOf(entry.data) : null;
  }

  async updateSessionActivity(id: string): Promise<void> {
    const entry = this.#live(id);
    if (entry) this.#write(id, { data: { ...entry.data, lastActivity: this.#now() }, refreshedAt: this.#now() });
  }

  async deleteSession(id: string): Promise<boolean> {
    const existed = this.#live(id) !== undefined;
    if (existed) this.#write(id, undefined, this.#now());
    return existed;
  }

  async sessionExists(id: string): Promise<boolean> {
    return this.#live(id) !== undefined;
  }

  async touchSession(id: string, known?: SessionData): Promise<SessionData | null> {
    await this.updateSessionActivity(id);
    const entry = this.#live(id);
    if (!entry) return null;
    return known && known.revision === entry.data.revision ? known : copyOf(entry.data);
  }

  async refreshSessions(known: readonly SessionData[]): Promise<boolean[]> {
    return Promise.all(known.map(async data => (await this.touchSession(data.sessionId, data)) === data));
  }

  async getSessionOwner(id: string): Promise<SessionOwner | null> {
    const entry = this.#live(id);
    return entry ? ownerOf(entry.data) : null;
  }

  async patchSession(id: string, patch: SessionPatch): Promise<boolean> {
    const entry = this.#live(id);
    if (!entry) return false;
    const revision = (entry.data.revision ?? 0) + this.#raise();
    this.#write(id, { data: { ...applyPatch(entry.data, patch), revision }, refreshedAt: entry.refreshedAt });
    return true;
  }

  /** A replica that had not received the last writes takes over. @param windowMs - how old the lost writes are at most */
  failOver(windowMs: number): void {
    const since = this.#now() - windowMs;
    for (let last = this.#replaced.at(-1); last && last.at > since; last = this.#replaced.at(-1)) {
      this.#replaced.pop();
      if (last.state) this.#states.set(last.id, last.state);
      else this.#states.delete(last.id);
    }
  }

  #live(id: string): Entry | undefined {
    const entry = this.#states.get(id)?.entry;
    return entry && this.#now() - entry.refreshedAt < this.ttlSeconds * 1000 ? entry : undefined;
  }

  #isTombstoned(id: string): boolean {
    const deletedAt = this.#states.get(id)?.deletedAt;
    return deletedAt !== undefined && this.#now() - deletedAt < TOMBSTONE_MS;
  }

  #write(id: string, entry: Entry | undefined, deletedAt?: number): void {
    this.#replaced.push({ at: this.#now(), id, state: this.#states.get(id) });
    this.#states.set(id, { entry, deletedAt });
  }
}

/** What a server that stores JSON returns. */
export function copyOf<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
