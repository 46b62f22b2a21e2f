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
  /** The directory: made where there is none, on a local disk, and for nothing else. */
  path: string;
  /** Seconds that a session lives without activity. @default 3600 */
  ttlSeconds?: number;
  /** Receives what happens to sessions, for logs and metrics. There is no session id in it. @default nothing is logged */
  onLog?: OnLog;
}

/** Sessions looked at at once by a list. */
const BATCH = 64;

interface Opened {
  directory: StoreDirectory;
  sweeper: Sweeper;
  locks: FileLocks;
}

/**
 * Sessions in the files of one host, which survive its processes: for a single pod that restarts, and for several processes
 * of one host. What was acknowledged is on the disk, and a process may be killed at any moment.
 *
 * It has no bus: several processes serve each other's sessions, but what goes from one to another needs a
 * `sessionBus`, or a balancer that keeps a client with its process. Not for a network file system.
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
    checkOptionsObject('options', options);
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
   * Makes the directory and looks whether it can be used. The first call of any other method does so too; call it at
   * the start, and a server that could keep no session does not begin to serve.
   * @throws InvalidOptionError where the path cannot be a store: a file, a directory of a newer version of this package
   * @throws SessionStoreUnavailableError where this process cannot use it: no permission, a read-only file system
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
        // Written already, where others have written behind it.
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
      // Where a patch was faster, the record is another one.
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

  /** Looks through all sessions of the directory. */
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
      // Behind the state that was read: a session that began since then is not given the state of the one before.
      const live = await this.#live(sessionId);
      if (!live) return { result: 'missing' as const };
      const { version } = stateOf(state, live);
      if (ifVersion !== undefined && ifVersion !== version) return { result: 'conflict' as const };
      return { next: { incarnation: live.incarnation, version: version + 1, value }, result: 'written' as const };
    };
    try {
      return await this.#stateFile(directory, path).update(change, { repeatable: ifVersion === undefined });
    } catch (error) {
      // Swept between the look and the write.
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

  /** Ends what the store does on its own. */
  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await Promise.all([opened?.sweeper.close(), opened?.locks.close()]);
  }

  #open(): Promise<Opened> {
    this.#opened ??= StoreDirectory.open(this.#path, message => this.#onLog('warn', message)).then(
      directory => this.#withSweepers(directory),
      (error: unknown) => {
        // What is wrong with it may be put right while this process runs.
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
