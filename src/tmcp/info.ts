import { KeyedQueue } from '../backends/shared/keyedQueue.js';
import { unref } from '../deadline.js';
import {
  InvalidOptionError,
  SessionExistsError,
  SessionNotFoundError,
  SessionRecordUnreadableError,
  SessionStoreUnavailableError
} from '../errors.js';
import { isSessionId } from '../ports/sessionId.js';
import { MAX_SUBSCRIPTIONS } from '../ports/sessionStore.js';
import { kindOf } from '../validate.js';
import { attached } from './attached.js';
import { ManagerBackend, type SessionManagerOptions, type SharedBackend } from './backend.js';
import { clearInterval, Date, setInterval } from '../timers.js';

/** What a client says about itself. */
export interface ClientInfo {
  /** The name of the client. */
  name: string;
  /** The version of the client. */
  version: string;
  /** The name that users see. */
  title?: string;
  /** The client's site. */
  websiteUrl?: string;
  /** The client's icons. */
  icons?: object[];
}

/** What a store keeps of a client, as JSON. */
interface Information {
  clientInfo?: unknown;
  clientCapabilities?: unknown;
  logLevel?: unknown;
}

/** In front of each session id, so that a store can have other records besides. */
const ID_PREFIX = 'tmcp:';
const MAX_ATTEMPTS = 50;
const DEFAULT_TTL_SECONDS = 3600;
const MAX_REFRESH_MS = 20 * 60_000;

/**
 * What tmcp knows about the clients of its sessions, on all pods that share a store: client information, capabilities,
 * log level and resource subscriptions. Pass it to tmcp's transports as `sessionManager.info`.
 *
 * tmcp does not await the methods that write, so these never reject: their errors go to `onerror`.
 */
export class SharedInfoSessionManager {
  readonly #backend: ManagerBackend;
  readonly #queue = new KeyedQueue();
  #refresh: ReturnType<typeof setInterval> | undefined;

  /**
   * @param backend - the URL of a Redis (`redis://` or `rediss://`, with `user:password@` if needed), or an object with a
   *   `sessionStore`: of memory, files, Redis or Postgres, or your own
   * @throws InvalidOptionError
   */
  constructor(backend: string | SharedBackend, options: SessionManagerOptions = {}) {
    const needs = { store: ['getState', 'putState', 'patchSession', 'listSessionIds'] } as const;
    this.#backend = new ManagerBackend(backend, needs, options);
  }

  /** @throws SessionNotFoundError if the session has none, or the error of the store */
  getClientInfo<T = ClientInfo>(id: string): Promise<T> {
    return this.#get<T>(id, 'clientInfo');
  }

  /** Never rejects. */
  setClientInfo(id: string, clientInfo: unknown): Promise<void> {
    return this.#set(id, { clientInfo });
  }

  /** Counts as use of the session. @throws SessionNotFoundError if the session has none, or the error of the store */
  async getClientCapabilities<T = Record<string, unknown>>(id: string): Promise<T> {
    const [capabilities] = await Promise.all([this.#get<T>(id, 'clientCapabilities'), this.#touch(id)]);
    return capabilities;
  }

  /** Never rejects. */
  setClientCapabilities(id: string, clientCapabilities: unknown): Promise<void> {
    return this.#set(id, { clientCapabilities });
  }

  /** @throws SessionNotFoundError if the session has none, or the error of the store */
  getLogLevel<T = string>(id: string): Promise<T> {
    return this.#get<T>(id, 'logLevel');
  }

  /** Never rejects. */
  setLogLevel(id: string, logLevel: unknown): Promise<void> {
    return this.#set(id, { logLevel });
  }

  /** The ids of the sessions that are subscribed to a resource. Never rejects. */
  async getSubscriptions(uri: string): Promise<string[]> {
    const found: string[] = [];
    await this.#reported(() =>
      this.#backend.store(async store => {
        for await (const ids of store.listSessionIds!({ subscribedTo: uri })) found.push(...ids);
      })
    );
    return found.filter(id => id.startsWith(ID_PREFIX)).map(id => decodeURIComponent(id.slice(ID_PREFIX.length)));
  }

  /** Never rejects. A session has at most 1000 subscriptions. */
  addSubscription(id: string, uri: string): Promise<void> {
    return this.#inTurn(id, async record => {
      const known = await this.#backend.store(store => store.getSession(record));
      const subscriptions = known?.metadata?.mcp?.subscriptions ?? [];
      if (subscriptions.length >= MAX_SUBSCRIPTIONS) {
        throw new InvalidOptionError('uri', `one more than ${MAX_SUBSCRIPTIONS} subscriptions of a session`, 'fewer');
      }
      const subscribe = (): Promise<boolean> =>
        this.#backend.store(store => store.patchSession!(record, { subscribe: uri }));
      if (!(await subscribe()) && (await this.#create(record))) await subscribe();
    });
  }

  /** Never rejects. */
  removeSubscription(id: string, uri: string): Promise<void> {
    return this.#inTurn(id, async record => {
      await this.#backend.store(store => store.patchSession!(record, { unsubscribe: uri }));
    });
  }

  /** Removes everything about a session. @throws the error of the store */
  async delete(id: string): Promise<void> {
    const record = recordOf(id);
    // Behind the writes that tmcp has not awaited.
    await this.#queue.run(record, () => this.#backend.store(store => store.deleteSession(record)));
  }

  /** Closes the connection that was opened for a URL. May be called twice. */
  async close(): Promise<void> {
    clearInterval(this.#refresh);
    await this.#backend.close();
  }

  async #get<T>(id: string, field: keyof Information): Promise<T> {
    const record = recordOf(id);
    // Behind the writes that tmcp has not awaited.
    const entry = await this.#queue.run(record, () => this.#backend.store(store => store.getState!(record)));
    const value = parse(entry?.value)[field];
    if (value === undefined) throw new SessionNotFoundError(`The session has no ${field}`);
    return value as T;
  }

  #set(id: string, change: Information): Promise<void> {
    return this.#inTurn(id, async record => {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        const entry = await this.#backend.store(store => store.getState!(record));
        if (!entry) {
          if (await this.#create(record)) continue;
          return; // Deleted a moment ago: this write came too late.
        }
        const text = JSON.stringify({ ...parse(entry.value), ...change });
        const written = await this.#backend.store(store => store.putState!(record, text, entry.version));
        if (written === 'written') return this.#keepAttached();
      }
      throw new SessionStoreUnavailableError('Other pods changed the information about a client again and again');
    });
  }

  /** @returns false if the record still does not exist: it was deleted a moment ago */
  async #create(record: string): Promise<boolean> {
    const now = Date.now();
    const data = { sessionId: record, initialized: true, createdAt: now, lastActivity: now };
    try {
      await this.#backend.store(store => store.storeSession(record, data));
      return true;
    } catch (error) {
      if (!(error instanceof SessionExistsError)) throw error;
      return this.#backend.store(store => store.sessionExists(record));
    }
  }

  #touch(id: string): Promise<void> {
    return this.#reported(() => this.#backend.store(store => store.updateSessionActivity(recordOf(id))));
  }

  /** Refreshes the sessions whose streams this pod holds, from now on. */
  async #keepAttached(): Promise<void> {
    if (this.#refresh) return;
    const ttlSeconds = (await this.#backend.store(async store => store.ttlSeconds)) ?? DEFAULT_TTL_SECONDS;
    this.#refresh ??= setInterval(
      () => void Promise.all(attached.ids().map(id => this.#touch(id))),
      Math.min((ttlSeconds * 1000) / 3, MAX_REFRESH_MS)
    );
    unref(this.#refresh);
  }

  /** Writes of a session happen in the order of the calls. */
  #inTurn(id: string, write: (record: string) => Promise<void>): Promise<void> {
    return this.#reported(() => {
      const record = recordOf(id);
      return this.#queue.run(record, () => write(record));
    });
  }

  async #reported(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#backend.report(error);
    }
  }
}

/** @throws InvalidOptionError */
function recordOf(id: string): string {
  let record = '';
  try {
    record = `${ID_PREFIX}${encodeURIComponent(id)}`;
  } catch {
    // Half of a surrogate pair.
  }
  if (typeof id === 'string' && id !== '' && isSessionId(record)) return record;
  throw new InvalidOptionError('id', kindOf(id), 'a text of at most 250 characters, fewer outside of ASCII');
}

function parse(value: string | null | undefined): Information {
  if (value === null || value === undefined) return {};
  try {
    return JSON.parse(value) as Information;
  } catch {
    throw new SessionRecordUnreadableError('The information about a client is not JSON');
  }
}
