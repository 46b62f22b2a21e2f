import { InvalidOptionError } from '../errors.js';
import { checkOptionsObject, kindOf } from '../validate.js';
import type { SessionBus } from './sessionBus.js';
import type { InitializeRequest, LoggingLevel } from '../sdkTypes.js';

/** Where a transport keeps its session: only in this process, or in a store that all pods share. */
export type SessionStorageMode = 'memory' | 'external';

/**
 * The data that another pod needs to continue a session. It is stored under `metadata.mcp`, so that a store which
 * knows only the five fields of {@link SessionData} keeps all of it.
 */
export interface McpSessionState {
  /** The version of this format; absent means 1. A record of a newer version is refused as unreadable, and kept. */
  version?: number;
  /** The negotiated protocol version, which may differ from the one that the client requested. */
  protocolVersion?: string;
  /** The `params` of the client's `initialize` request, as they arrived. */
  initialize?: InitializeRequest['params'];
  /** The principal that opened the session (`principalOf`); absent if it was opened without authentication. */
  principal?: string;
  /** The level of the last successful `logging/setLevel`. */
  logLevel?: LoggingLevel;
  /** The subscribed URIs (`resources/subscribe`). */
  subscriptions?: string[];
  /** The `namespace` in which the session was opened; absent if the server had none. */
  namespace?: string;
  /** The name of the server that the client was connected to, once the handshake is complete. */
  serverName?: string;
  /** The application's state, if the store has only the five required methods. */
  state?: SessionStateEntry;
}

/** The record of one session. A record without `metadata` is valid. */
export interface SessionData {
  /** The `Mcp-Session-Id`. */
  sessionId: string;
  /** Whether the client's `notifications/initialized` has been received. */
  initialized: boolean;
  /** Epoch milliseconds. */
  createdAt: number;
  /** Epoch milliseconds of the last exchange; a backend may round it to a second. */
  lastActivity: number;
  /** Free for the store's owner, except the key `mcp`, which belongs to the transport. */
  metadata?: Record<string, unknown> & {
    /** The transport's data. */
    mcp?: McpSessionState;
  };
  /**
   * Set by stores with `touchSession`. It grows whenever the record changes, so that a pod which holds the record can
   * check that it is unchanged without reading it again.
   */
  revision?: number;
}

/** Selects sessions: at most one of the fields is given; none means all sessions. */
export interface SessionFilter {
  /** The URI of a resource. */
  subscribedTo?: string;
  /** As in `metadata.mcp.principal`. */
  principal?: string;
}

/** The application's state of a session. */
export interface SessionStateEntry {
  /** The value passed to `putState`; null if there is no state. */
  value: string | null;
  /** Grows with every write, including removals; 0 before the first write. */
  version: number;
}

/** `'conflict'`: the state had another version. `'missing'`: the session does not exist. */
export type StateWrite = 'written' | 'conflict' | 'missing';

/** Who may use a session. A field is absent if the record has none. */
export type SessionOwner = Pick<McpSessionState, 'principal' | 'namespace'>;

/** A change of single fields of a record. Absent fields stay unchanged. */
export interface SessionPatch {
  /** The client has completed the handshake. */
  initialized?: true;
  /** The negotiated protocol version. */
  protocolVersion?: string;
  /** The level of a successful `logging/setLevel`. */
  logLevel?: LoggingLevel;
  /** A URI to add to the subscriptions. */
  subscribe?: string;
  /** A URI to remove from the subscriptions. */
  unsubscribe?: string;
  /** Set at most once. It only helps to report a mistake, so a store may ignore it. */
  serverName?: string;
}

/**
 * The store that all pods share. Only the store decides whether a session exists.
 *
 * A class with the five required methods works in full. The optional methods make it faster and close the
 * races between separate calls. A store offers those that its backend supports.
 *
 * - *Missing* is a value (`null`, `false`), never an error. The caller does not distinguish a session that expired,
 *   was deleted or never existed. *Outage* is a throw: the client then receives 503 and keeps its session.
 *   A store must never return "missing" because it could not reach its backend.
 * - *Expiry* is the store's task: an expired session is missing from that moment, even if it is not removed yet.
 * - A record is returned as it was stored. Keep it whole, or keep its five fields with `metadata` as JSON.
 * - A session id passed to these methods always has 1 to 256 visible ASCII characters.
 */
export interface SessionStore {
  /**
   * Creates the record. A store with `patchSession` throws `SessionExistsError` if the session exists. On a store
   * without it, this method is also called to replace an existing record.
   */
  storeSession(sessionId: string, data: SessionData): Promise<void>;
  /** Reads the record without refreshing its time to live. @returns null if the session is missing */
  getSession(sessionId: string): Promise<SessionData | null>;
  /** Sets `lastActivity` to now and restarts the time to live; does nothing if the session is missing. */
  updateSessionActivity(sessionId: string): Promise<void>;
  /**
   * Removes the record; does nothing if the session is missing.
   * @returns whether this call removed it, decided atomically: if several pods delete at once, one call returns true and
   *   the others false. A store that does not know returns nothing; the caller then treats every deletion as the first.
   */
  deleteSession(sessionId: string): Promise<boolean | void>;
  /** Whether the session exists. Does not refresh its time to live. */
  sessionExists(sessionId: string): Promise<boolean>;

  /**
   * `getSession` and `updateSessionActivity` in one atomic step and one round trip.
   * @param known - the record that the caller holds; if its `revision` is unchanged, the store returns this same
   *   object instead of reading the record again
   */
  touchSession?(sessionId: string, known?: SessionData): Promise<SessionData | null>;
  /**
   * `touchSession` of up to 500 sessions that clients only hold a stream of, in few round trips. A session
   * whose time to live was restarted less than a quarter of it ago may be left as it is.
   * @param known - the records that the caller holds
   * @returns for each in turn: whether the session exists and `revision` is unchanged. If not, the caller asks with
   *   `touchSession`, and nothing need be refreshed
   */
  refreshSessions?(known: readonly SessionData[]): Promise<readonly boolean[]>;
  /**
   * Who may use a session, in one round trip and without the parts of the record that may be large; null if the session is
   * missing. Does not refresh it. Called before a session is opened for a client that already names one. Also called
   * before a pod reads a record that it does not hold, for a client with a principal: a refused request costs little.
   */
  getSessionOwner?(sessionId: string): Promise<SessionOwner | null>;
  /**
   * Changes single fields atomically, never by reading the record and writing it back, and only if the
   * record exists. Changes `revision`.
   * @returns false if the session is missing
   */
  patchSession?(sessionId: string, patch: SessionPatch): Promise<boolean>;
  /**
   * The ids of all sessions, of those subscribed to a resource, or of those that belong to a principal, in batches. They
   * come from an index that expires with the sessions, never from a scan of all keys. A session that is created or ends
   * during the call may be missing or extra. Otherwise it is listed once the call that stored or subscribed it has
   * resolved, or soon after if the index is slow.
   */
  listSessionIds?(filter?: SessionFilter): AsyncIterable<string[]>;

  /**
   * The application's state of a session; null if the session is missing. The state is not part of the record: reading
   * or writing it does not refresh the time to live and does not change `revision`.
   */
  getState?(sessionId: string): Promise<SessionStateEntry | null>;
  /**
   * Replaces the application's state, or removes it (`null`), in one atomic step. The state ends with the session: a
   * later session with the same id begins without state.
   * @param ifVersion - writes only if the state still has this version; 0 if it was never written
   */
  putState?(sessionId: string, value: string | null, ifVersion?: number): Promise<StateWrite>;

  /**
   * Takes the lock of a session for `leaseMs`, or a place in its queue (first in, first out). A caller keeps its place
   * by calling again within `leaseMs`, and loses it otherwise. If the holder calls again, it holds the lock for another
   * `leaseMs`. Leases use one clock, the backend's. The session need not exist, and its end does not free the lock.
   * @param token - unguessable, created by the caller
   * @param leaseMs - a whole number
   * @returns whether the token holds the lock now
   */
  acquireLock?(sessionId: string, token: string, leaseMs: number): Promise<boolean>;
  /** Holds the lock for another `leaseMs`. False if the token no longer holds it: then nothing is changed. */
  renewLock?(sessionId: string, token: string, leaseMs: number): Promise<boolean>;
  /** Releases the lock or the place in the queue, if the token has one. */
  releaseLock?(sessionId: string, token: string): Promise<void>;

  /**
   * Creates the bus that belongs to the store, so that one object configures a whole pod. Called at most once per
   * store object. The store's `close` closes it.
   */
  createBus?(): SessionBus;
  /**
   * Why the backend does not answer at the moment, if the store knows: a code such as `ECONNREFUSED`. It becomes a part of
   * error messages, so it contains no address and no secret. Undefined while the backend is connected.
   */
  outageReason?(): string | undefined;
  /**
   * Seconds that a session lives without activity, if the store knows. Pods refresh the sessions that they hold well
   * before that, and at least every 20 seconds.
   */
  readonly ttlSeconds?: number;
  /** Releases the resources that the store itself opened. Clients passed to the store stay open. */
  close?(): Promise<void>;
}

/**
 * Checks a record before it is stored: an incomplete record would reach every pod.
 * @throws InvalidOptionError that names the field
 */
export function checkSessionData(data: SessionData): void {
  checkOptionsObject('data', data);
  const fields: Partial<Record<keyof SessionData, unknown>> = { ...data };
  if (typeof fields.initialized !== 'boolean') {
    throw new InvalidOptionError('data.initialized', kindOf(fields.initialized), 'true or false');
  }
  for (const field of ['createdAt', 'lastActivity'] as const) {
    if (!Number.isFinite(fields[field])) {
      throw new InvalidOptionError(`data.${field}`, kindOf(fields[field]), 'a number of epoch milliseconds');
    }
  }
  if (fields.metadata !== undefined) checkOptionsObject('data.metadata', fields.metadata);
}

/** The methods that every store has, in the order of the interface. */
export const SESSION_STORE_METHODS = [
  'storeSession',
  'getSession',
  'updateSessionActivity',
  'deleteSession',
  'sessionExists'
] as const;

/** The largest number of subscriptions that a session keeps across pods. */
export const MAX_SUBSCRIPTIONS = 1000;

/** The part of a record that `getSessionOwner` returns. */
export function ownerOf({ metadata }: SessionData): SessionOwner {
  const { principal, namespace } = metadata?.mcp ?? {};
  return { principal, namespace };
}

/** The record with the patch applied, as a new object: the rule that every `patchSession` follows. */
export function applyPatch(data: SessionData, patch: SessionPatch): SessionData {
  const mcp: McpSessionState = { ...data.metadata?.mcp };
  if (patch.protocolVersion !== undefined) mcp.protocolVersion = patch.protocolVersion;
  if (patch.logLevel !== undefined) mcp.logLevel = patch.logLevel;
  if (patch.serverName !== undefined) mcp.serverName = patch.serverName;
  if (patch.subscribe !== undefined) {
    mcp.subscriptions = [...new Set([...(mcp.subscriptions ?? []), patch.subscribe])];
  }
  if (patch.unsubscribe !== undefined) {
    mcp.subscriptions = mcp.subscriptions?.filter(uri => uri !== patch.unsubscribe);
  }
  return { ...data, initialized: patch.initialized ?? data.initialized, metadata: { ...data.metadata, mcp } };
}
