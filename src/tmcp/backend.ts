import { withDeadline } from '../deadline.js';
import { AnypodError, InvalidOptionError, SessionStoreUnavailableError } from '../errors.js';
import { messageOf } from '../log.js';
import { SESSION_BUS_METHODS, type SessionBus } from '../ports/sessionBus.js';
import { SESSION_STORE_METHODS, type SessionStore } from '../ports/sessionStore.js';
import { reportTo, warnOncePerMinute } from '../report.js';
import { openRedis } from '../services/openRedis.js';
import { parseRedisUrl } from '../services/redisUrl.js';
import { checkFunction, checkMethods, checkNumber, checkOptionsObject, checkString, kindOf } from '../validate.js';

/** A store and a bus of this package, or of your own. What `createSessionServices` returns is one. */
export interface SharedBackend {
  /** Used by the managers of streams and of client information, with the optional methods that they need. */
  readonly sessionStore?: SessionStore;
  /** Used by the managers of streams and subscriptions. @default that of the store */
  readonly sessionBus?: SessionBus;
}

/** The options of the managers. */
export interface SessionManagerOptions {
  /** The prefix of every key and channel, if the manager is created with a URL. @default 'mcp:tmcp:' */
  prefix?: string;
  /**
   * Seconds that the information about a client lives without a request of the client, if the manager is created with a
   * URL. A client whose stream is open keeps it. @default 86400
   */
  ttlSeconds?: number;
  /** Receives every error that no caller of the manager can receive. @default process warnings */
  onerror?: (error: Error) => void;
}

/** The parts that a manager needs. */
export interface Needs {
  /** Methods of the store, besides the required ones. */
  readonly store?: readonly (keyof SessionStore)[];
  readonly bus?: true;
}

const DEFAULT_PREFIX = 'mcp:tmcp:';
const DEFAULT_TTL_SECONDS = 86_400;
const CONNECT_TIMEOUT_MS = 2000;
/** How long one call to the store or the bus may take. */
const CALL_TIMEOUT_MS = 2000;
const FORM = 'the URL of a Redis, or an object with sessionStore and sessionBus (as createSessionServices returns it)';

interface Opened {
  readonly store?: SessionStore;
  readonly bus?: SessionBus;
  readonly close: () => Promise<void>;
}

/** The backend of one manager. A URL is opened at once, and again by the next call if that failed. */
export class ManagerBackend {
  readonly #open: () => Promise<Opened>;
  readonly #onerror: (error: Error) => void;
  #opened: Promise<Opened> | undefined;
  #closed = false;

  /** @throws InvalidOptionError */
  constructor(backend: string | SharedBackend, needs: Needs, options: SessionManagerOptions) {
    checkOptionsObject('options', options);
    checkString('prefix', options.prefix);
    checkNumber('ttlSeconds', options.ttlSeconds, { min: 1, max: 1_000_000_000, integer: true });
    checkFunction('onerror', options.onerror);
    this.#onerror = options.onerror ?? warn;
    this.#open = typeof backend === 'string' ? this.#fromUrl(backend, options) : given(backend, needs);
    this.#ready().catch((error: unknown) => this.report(error));
  }

  /** The store. Its calls are limited in time. @throws the store's error */
  async store<T>(call: (store: SessionStore) => Promise<T>): Promise<T> {
    const { store } = await this.#ready();
    return withDeadline(
      () => call(store as SessionStore),
      CALL_TIMEOUT_MS,
      () => new SessionStoreUnavailableError(`The store did not answer within ${CALL_TIMEOUT_MS} ms`)
    );
  }

  /** The bus. Its calls are limited in time. @throws the bus's error */
  async bus<T>(call: (bus: SessionBus) => Promise<T>): Promise<T> {
    const { bus } = await this.#ready();
    return withDeadline(() => call(bus as SessionBus), CALL_TIMEOUT_MS);
  }

  report(error: unknown): void {
    reportTo(this.#onerror, error instanceof Error ? error : new Error(String(error)));
  }

  /** Closes what was opened for a URL. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    await (await this.#opened?.catch(() => undefined))?.close();
  }

  async #ready(): Promise<Opened> {
    if (this.#closed) throw new SessionStoreUnavailableError('The session manager was closed');
    this.#opened ??= this.#open().catch((error: unknown) => {
      // The cause may be fixed while this process runs.
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  #fromUrl(url: string, { prefix = DEFAULT_PREFIX, ttlSeconds = DEFAULT_TTL_SECONDS }: SessionManagerOptions) {
    parseRedisUrl('redisUrl', url);
    return async (): Promise<Opened> => {
      const opened = await openRedis(url, 'redisUrl', {
        keyPrefix: prefix,
        ttlSeconds,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        onLog: (level, message) => {
          if (level === 'warn') this.report(new SessionStoreUnavailableError(message));
        }
      });
      const close = async (): Promise<void> => {
        await opened.sessionBus.close();
        await opened.close();
      };
      return { store: opened.sessionStore, bus: opened.sessionBus, close };
    };
  }
}

function given(backend: SharedBackend, needs: Needs): () => Promise<Opened> {
  if (typeof backend !== 'object' || backend === null || Array.isArray(backend)) {
    throw new InvalidOptionError('backend', kindOf(backend), FORM);
  }
  const { sessionStore: store, sessionBus } = backend;
  if (needs.store) checkMethods('sessionStore', store, [...SESSION_STORE_METHODS, ...needs.store]);
  const bus = needs.bus && (sessionBus ?? store?.createBus?.());
  if (needs.bus) checkMethods('sessionBus', bus, SESSION_BUS_METHODS);
  return async () => ({ store, bus, close: async () => {} });
}

function warn(error: Error): void {
  const code = error instanceof AnypodError ? error.code : 'ANYPOD_TMCP';
  warnOncePerMinute(code, `${messageOf(error)}. Pass onerror to the session manager to receive errors.`);
}
