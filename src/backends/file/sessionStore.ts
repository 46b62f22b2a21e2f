import { InvalidOptionError, SessionExistsError } from '../../errors.js';
import { logTo, type OnLog } from '../../log.js';
import {
  applyPatch,
  checkSessionData,
  ownerOf,
  type SessionData,
  type SessionFilter,
  type SessionOwner,
  type SessionPatch,
  type SessionStateEntry,
  type SessionStore,
  type StateWrite
} from '../../ports/sessionStore.js';
import { checkFunction, checkNumber, checkOptionsObject, kindOf } from '../../validate.js';
import { FileLocks } from './locks.js';
import {
  contentOf,
  isExpired,
  isFree,
  isSessionContent,
  isSessionOver,
  isStateContent,
  type LiveSession,
  liveSession,
  stateOf
} from './sessionFile.js';
import { ignore, StoreDirectory } from './storeDirectory.js';
import { Sweeper } from './sweeper.js';
import { type Version, VersionedFile } from './versionedFile.js';
import { Date } from '../../timers.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** The options of a {@link FileSessionStore}. */
export interface FileSessionStoreOptions {
  /** The directory. It is created if it is missing, must be on a local disk, and must contain nothing else. */
  path: string;
  /** Seconds that a session lives without activity. @default 3600 */
  ttlSeconds?: number;
  /** Receives session events, for logs and metrics. Contains no session id. @default nothing is logged */
  onLog?: OnLog;
}

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof FileSessionStoreOptions, true>> = {
  path: true,
  ttlSeconds: true,
  onLog: true
};

/** Sessions that a list reads at the same time. */
const BATCH = 64;

interface Opened {
  directory: StoreDirectory;
  sweeper: Sweeper;
  locks: FileLocks;
}

/**
 * Sessions in files of one host, which survive its processes: for a single pod that restarts, or several processes on
 * one host. Every acknowledged write is on the disk. A process may be killed at any moment.
 *
 * It has no bus. Several processes can serve each other's sessions, but messages between them need a `sessionBus`, or
 * a balancer that keeps a client on one process. Not for a network file system.
 */
export class FileSessionStore implements SessionStore {
  readonly ttlSeconds: number;
  readonly #path: string;
  readonly #onLog: OnLog;
  #opened: Promise<Opened> | undefined;

  static {
    throughWrappers(this);
  }

  /** @throws InvalidOptionError */
  constructor(options: FileSessionStoreOptions) {
    keepSelf(this);
    checkOptionsObject('options', options, OPTION_NAMES);
    if (typeof options.path !== 'string' || options.path === '' || options.path.includes('\0')) {
      throw new InvalidOptionError('path', kindOf(options.path), 'the path of a directory');
    }
    checkNumber('ttlSeconds', options.ttlSeconds, { min: 1 });
    checkFunction('onLog', options.onLog);
    this.#path = options.path;
    this.ttlSeconds = options.ttlSeconds ?? 3600;
    this.#onLog = logTo(options.onLog);
  }

  /**
   * Creates the directory and checks that it can be used. The first call of any other method does the same. Call it at
   * the start, so that a server that cannot store sessions does not start to serve.
   * @throws InvalidOptionError if the path cannot be a store: a file, a directory of a newer version of this package
   * @throws SessionStoreUnavailableError if this process cannot use it: no permission, a read-only file system
   */
  async open(): Promise<void> {
    await this.#open();
  }

  async storeSession(sessionId: string, data: SessionData): Promise<void> {
    checkSessionData(data);
    const { directory, sweeper } = await this.#open();
    const next = contentOf({ ...data, sessionId }, directory.modules.crypto.randomUUID());
    const created = await directory.within('sessions', sessionId, path =>
      this.#sessionFile(directory, path).update(version => {
        // Already written, and others have written after it.
        if (version?.content?.incarnation === next.incarnation) return { result: true };
        return isFree(version, sessionId, this.ttlSeconds) ? { next, result: true } : { result: false };
      })
    );
    if (!created) throw new SessionExistsError('A session with this id exists, or was deleted a moment ago');
    sweeper.step();
    this.#onLog('info', 'session created');
  }

  async getSession(sessionId: string): Promise<SessionData | null> {
    return (await this.#live(sessionId))?.data ?? null;
  }

  async updateSessionActivity(sessionId: string): Promise<void> {
    await this.touchSession(sessionId);
  }

  async deleteSession(sessionId: string): Promise<boolean> {
    const { directory } = await this.#open();
    const path = directory.ofSession('sessions', sessionId);
    const deleted = await this.#sessionFile(directory, path).update(version => {
      const isThere = version && version.content?.deletedAt === undefined && !isExpired(version, this.ttlSeconds);
      return isThere ? { next: { deletedAt: Date.now() }, result: true } : { result: false };
    });
    if (!deleted) {
      await directory.checkPresence();
      return false;
    }
    await this.#stateFile(directory, path).removeAll();
    this.#onLog('info', 'session deleted');
    return true;
  }

  async sessionExists(sessionId: string): Promise<boolean> {
    return (await this.#live(sessionId)) !== undefined;
  }

  async touchSession(sessionId: string, known?: SessionData): Promise<SessionData | null> {
    const { directory } = await this.#open();
    const file = this.#sessionFile(directory, directory.ofSession('sessions', sessionId));
    if (known?.revision !== undefined) {
      const head = await file.head();
      const isKnown = head?.number === known.revision && head.path.endsWith('.json');
      if (isKnown && !isExpired(head, this.ttlSeconds) && (await file.touch(head))) return known;
    }
    for (;;) {
      const live = await this.#live(sessionId);
      if (!live) return null;
      // If a concurrent patch was faster, the record has changed.
      if (await file.touch(live.version)) return { ...live.data, lastActivity: Date.now() };
    }
  }

  async getSessionOwner(sessionId: string): Promise<SessionOwner | null> {
    const live = await this.#live(sessionId);
    return live ? ownerOf(live.data) : null;
  }

  async patchSession(sessionId: string, patch: SessionPatch): Promise<boolean> {
    const { directory } = await this.#open();
    const patched = await this.#sessionFile(directory, directory.ofSession('sessions', sessionId)).update(version => {
      const live = liveSession(version, sessionId, this.ttlSeconds);
      if (!live) return { result: false };
      return { next: contentOf(applyPatch(live.data, patch), live.incarnation), result: true };
    });
    if (!patched) await directory.checkPresence();
    return patched;
  }

  /** Reads all sessions of the directory. */
  async *listSessionIds({ subscribedTo, principal }: SessionFilter = {}): AsyncIterable<string[]> {
    const { directory } = await this.#open();
    const parent = `${directory.path}/sessions`;
    const idOf = async (name: string): Promise<string | undefined> => {
      const version = await this.#sessionFile(directory, `${parent}/${name}`).read();
      const session = version?.content?.session as SessionData | undefined;
      if (!session || isExpired(version as NonNullable<typeof version>, this.ttlSeconds)) return undefined;
      const mcp = session.metadata?.mcp;
      if (subscribedTo !== undefined && !mcp?.subscriptions?.includes(subscribedTo)) return undefined;
      return principal === undefined || mcp?.principal === principal ? session.sessionId : undefined;
    };
    const names: string[] = [];
    const idsOf = async (): Promise<string[]> =>
      (await Promise.all(names.splice(0).map(idOf))).filter(id => id !== undefined);
    for await (const { name } of await directory.modules.fs.opendir(parent)) {
      if (names.push(name) === BATCH) yield await idsOf();
    }
    const rest = await idsOf();
    if (rest.length > 0) yield rest;
  }

  async getState(sessionId: string): Promise<SessionStateEntry | null> {
    const { directory } = await this.#open();
    const path = directory.ofSession('sessions', sessionId);
    const state = await this.#stateFile(directory, path).read();
    const live = await this.#live(sessionId);
    return live ? stateOf(state, live) : null;
  }

  async putState(sessionId: string, value: string | null, ifVersion?: number): Promise<StateWrite> {
    const { directory } = await this.#open();
    const path = directory.ofSession('sessions', sessionId);
    const change = async (state: Version | undefined) => {
      // Read after the state: a session that began since then must not get the state of the one before.
      const live = await this.#live(sessionId);
      if (!live) return { result: 'missing' as const };
      const { version } = stateOf(state, live);
      if (ifVersion !== undefined && ifVersion !== version) return { result: 'conflict' as const };
      return { next: { incarnation: live.incarnation, version: version + 1, value }, result: 'written' as const };
    };
    try {
      return await this.#stateFile(directory, path).update(change, { repeatable: ifVersion === undefined });
    } catch (error) {
      // Swept between the read and the write.
      ignore('ENOENT')(error);
      await directory.checkPresence();
      return 'missing';
    }
  }

  async acquireLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    return (await this.#open()).locks.acquireLock(sessionId, token, leaseMs);
  }

  async renewLock(sessionId: string, token: string, leaseMs: number): Promise<boolean> {
    return (await this.#open()).locks.renewLock(sessionId, token, leaseMs);
  }

  async releaseLock(sessionId: string, token: string): Promise<void> {
    await (await this.#open()).locks.releaseLock(sessionId, token);
  }

  /** Stops the background work of the store. */
  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await Promise.all([opened?.sweeper.close(), opened?.locks.close()]);
  }

  #open(): Promise<Opened> {
    this.#opened ??= StoreDirectory.open(this.#path, message => this.#onLog('warn', message)).then(
      directory => this.#withSweepers(directory),
      (error: unknown) => {
        // The cause may be fixed while this process runs.
        this.#opened = undefined;
        throw error;
      }
    );
    return this.#opened;
  }

  #withSweepers(directory: StoreDirectory): Opened {
    const report = ({ message }: Error) => this.#onLog('warn', `old sessions were not removed: ${message}`);
    const isOver = async (path: string) =>
      isSessionOver(await this.#sessionFile(directory, path).read(), this.ttlSeconds);
    return {
      directory,
      sweeper: new Sweeper(directory, 'sessions', isOver, report),
      locks: new FileLocks(directory, this.#setAside, report)
    };
  }

  #sessionFile(directory: StoreDirectory, path: string): VersionedFile {
    const options = { durable: true, isValid: isSessionContent, onSetAside: this.#setAside };
    return new VersionedFile(directory.modules, path, 'session', options);
  }

  #stateFile(directory: StoreDirectory, path: string): VersionedFile {
    const options = { durable: true, isValid: isStateContent, onSetAside: this.#setAside };
    return new VersionedFile(directory.modules, path, 'state', options);
  }

  readonly #setAside = (path: string): void => this.#onLog('warn', `a file cannot be read and was set aside: ${path}`);

  async #live(sessionId: string): Promise<LiveSession | undefined> {
    const { directory } = await this.#open();
    const version = await this.#sessionFile(directory, directory.ofSession('sessions', sessionId)).read();
    const live = liveSession(version, sessionId, this.ttlSeconds);
    if (!version) await directory.checkPresence();
    return live;
  }
}
