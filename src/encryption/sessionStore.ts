import {
  checkSessionData,
  ownerOf,
  SESSION_STORE_METHODS,
  type SessionData,
  type SessionFilter,
  type SessionStore
} from '../ports/sessionStore.js';
import { checkBoolean, checkMethods, checkOptionsObject } from '../validate.js';
import { noteMaker } from '../wrappable.js';
import { type EncryptionKey, Keyring } from './keyring.js';
import { RecordCipher } from './recordCipher.js';

/** The options of {@link encryptSessionStore}. */
export interface EncryptSessionStoreOptions {
  /** The first key seals, all open. To rotate, add a new one in front; remove the old one after its last session. */
  keys: readonly EncryptionKey[];
  /**
   * Whether records stored before encryption are read unchanged. `false` refuses them as unreadable, so that an
   * attacker with write access cannot insert an unencrypted record: set it when the last of those sessions is gone.
   * @default true
   */
  readPlaintext?: boolean;
  /**
   * Opens sealed records and seals nothing: the first step of switching encryption on, or the first of switching it
   * off, while pods without the keys still serve.
   * @default false
   */
  writePlaintext?: boolean;
}

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof EncryptSessionStoreOptions, true>> = {
  keys: true,
  readPlaintext: true,
  writePlaintext: true
};

/**
 * A session store that keeps its records encrypted (AES-256-GCM, by WebCrypto, so in every runtime) in `store`: metadata
 * with the client's handshake, protocol version, log level, principal, subscriptions, and the application's state. It
 * has the optional methods that `store` has. It needs as many round trips, except for unsubscribing and for finding the
 * sessions of a resource or a principal, which take one query per key.
 *
 * Not encrypted: the session's id, the three times and flags of `SessionData`, the ids of the keys, and lengths. A
 * principal and a subscribed URI are sealed to the same text everywhere: a reader of the backend sees which sessions
 * share one, but not its value. Everything else is bound to its session and opens nowhere else. It is not bound to a
 * time, so an attacker with write access to the backend can replay an older record.
 *
 * A record that was changed or sealed with an unknown key is a `SessionRecordUnreadableError`: never missing.
 * @throws InvalidOptionError
 */
export function encryptSessionStore(store: SessionStore, options: EncryptSessionStoreOptions): SessionStore {
  checkMethods('store', store, SESSION_STORE_METHODS);
  checkOptionsObject('options', options, OPTION_NAMES);
  const { keys, readPlaintext = true, writePlaintext = false } = options;
  checkBoolean('readPlaintext', readPlaintext);
  checkBoolean('writePlaintext', writePlaintext);
  const cipher = new RecordCipher(new Keyring(keys), { readPlaintext, writePlaintext });
  return noteMaker(onlyWhatIsIn(store, sealing(store as Required<SessionStore>, cipher)));
}

/** A record of usual size. */
const DECOY: SessionData = {
  sessionId: 'decoy',
  initialized: true,
  createdAt: 0,
  lastActivity: 0,
  metadata: {
    mcp: {
      version: 1,
      protocolVersion: '2025-11-25',
      principal: 'x'.repeat(60),
      initialize: {
        protocolVersion: '2025-11-25',
        capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } },
        clientInfo: { name: 'x'.repeat(20), version: '1.0.0' }
      }
    }
  }
};

/**
 * Opening takes time. Opening this record for a missing session takes as long as for a session of another principal.
 * @returns a sealed record without a session, created on first use
 */
function decoyOf(cipher: RecordCipher): () => Promise<SessionData> {
  let decoy: Promise<SessionData> | undefined;
  return () => (decoy ??= cipher.sealRecord(DECOY.sessionId, DECOY));
}

/** Returns each id once, although a principal may be sealed in several ways while keys are rotated. */
async function* listSealed(
  store: Required<SessionStore>,
  cipher: RecordCipher,
  filter: SessionFilter
): AsyncIterable<string[]> {
  const filters = await cipher.sealFilter(filter);
  const seen = new Set<string>();
  for (const each of filters) {
    for await (const ids of store.listSessionIds(each)) {
      const fresh = ids.filter(id => !seen.has(id));
      if (filters.length > 1) for (const id of fresh) seen.add(id);
      if (fresh.length > 0) yield fresh;
    }
  }
}

/** @param sealed - undefined for a record that the store has not returned: the caller reads it again */
async function refreshSealed(
  store: Required<SessionStore>,
  sealed: readonly (SessionData | undefined)[]
): Promise<boolean[]> {
  const unchanged = await store.refreshSessions(sealed.filter(record => record !== undefined));
  let next = 0;
  return sealed.map(record => record !== undefined && unchanged[next++] === true);
}

/** The methods that neither take nor return what is sealed. */
function unsealed(store: Required<SessionStore>) {
  return {
    updateSessionActivity: (sessionId: string) => store.updateSessionActivity(sessionId),
    deleteSession: (sessionId: string) => store.deleteSession(sessionId),
    sessionExists: (sessionId: string) => store.sessionExists(sessionId),
    acquireLock: (sessionId: string, token: string, leaseMs: number) => store.acquireLock(sessionId, token, leaseMs),
    renewLock: (sessionId: string, token: string, leaseMs: number) => store.renewLock(sessionId, token, leaseMs),
    releaseLock: (sessionId: string, token: string) => store.releaseLock(sessionId, token),

    createBus: () => store.createBus(),
    outageReason: () => store.outageReason(),
    ttlSeconds: store.ttlSeconds,
    close: () => store.close()
  } satisfies Partial<SessionStore>;
}

/** Every method of the port: a new one does not compile until it is added here. */
function sealing(store: Required<SessionStore>, cipher: RecordCipher): Required<SessionStore> {
  /**
   * Maps an opened record to the sealed one from the store, which later calls pass back. A store may write parts of a
   * record that it is given, so it never gets an opened one.
   */
  const sealedOf = new WeakMap<SessionData, SessionData>();

  const decoy = decoyOf(cipher);

  async function open(sessionId: string, sealed: SessionData | null): Promise<SessionData | null> {
    if (!sealed) {
      await cipher.openRecord(DECOY.sessionId, await decoy());
      return null;
    }
    const opened = await cipher.openRecord(sessionId, sealed);
    sealedOf.set(opened, sealed);
    return opened;
  }

  return {
    async storeSession(sessionId, data) {
      checkSessionData(data);
      await store.storeSession(sessionId, await cipher.sealRecord(sessionId, data));
    },
    async getSession(sessionId) {
      return open(sessionId, await store.getSession(sessionId));
    },
    async touchSession(sessionId, known) {
      const sealed = known && sealedOf.get(known);
      const found = await store.touchSession(sessionId, sealed);
      return known && found && found === sealed ? known : open(sessionId, found);
    },
    refreshSessions: known =>
      refreshSealed(
        store,
        known.map(record => sealedOf.get(record))
      ),
    async getSessionOwner(sessionId) {
      const sealed = await store.getSessionOwner(sessionId);
      const opened = await cipher.openOwner(sealed ?? ownerOf(await decoy()));
      return sealed && opened;
    },
    async patchSession(sessionId, patch) {
      const [first, ...others] = await cipher.sealPatch(sessionId, patch);
      if (!(await store.patchSession(sessionId, first))) return false;
      await Promise.all(others.map(each => store.patchSession(sessionId, each)));
      return true;
    },
    listSessionIds: (filter = {}) => listSealed(store, cipher, filter),

    async getState(sessionId) {
      const entry = await store.getState(sessionId);
      if (typeof entry?.value !== 'string') return entry;
      return { ...entry, value: await cipher.openText(sessionId, 'state', entry.value) };
    },
    async putState(sessionId, value, ifVersion) {
      const sealed = value === null ? null : await cipher.sealText(sessionId, 'state', value);
      return store.putState(sessionId, sealed, ifVersion);
    },

    ...unsealed(store)
  };
}

/** Callers check for a method to learn whether a store supports it. */
function onlyWhatIsIn(store: SessionStore, sealing: Required<SessionStore>): SessionStore {
  const entries = Object.entries(sealing).filter(([name]) => store[name as keyof SessionStore] !== undefined);
  return Object.fromEntries(entries) as unknown as SessionStore;
}
