import { InvalidOptionError } from '../errors.js';
import { checkOptionsObject, kindOf } from '../validate.js';
import type { SessionBus } from './sessionBus.js';
import type { InitializeRequest, LoggingLevel } from 'mcp-sdk-upstream/types.js';

/** Where a transport keeps its session: in this process alone, or in a store that every pod shares. */
export type SessionStorageMode = 'memory' | 'external';

/**
 * What another pod needs to go on with a session. It lives under `metadata.mcp`, so that a store which
 * knows the five fields of {@link SessionData} and nothing else keeps all of it.
 */
export interface McpSessionState {
  /** The version of this form: absent is 1. A record of a newer one is refused as unreadable, and kept. */
  version?: number;
  /** The protocol version that was negotiated, which is not always the one the client asked for. */
  protocolVersion?: string;
  /** The `params` of the client's `initialize` request, as they arrived. */
  initialize?: InitializeRequest['params'];
  /** Who opened the session (`principalOf`); absent when it was opened without authentication. */
  principal?: string;
  /** The level of the last successful `logging/setLevel`. */
  logLevel?: LoggingLevel;
  /** The URIs of `resources/subscribe` that were not unsubscribed. */
  subscriptions?: string[];
  /** The `namespace` in which the session was opened; absent when the server had none. */
  namespace?: string;
  /** The name of the server that the client was connected to, once the handshake is complete. */
  serverName?: string;
  /** The application's state, in a store with the five required methods alone. */
  state?: SessionStateEntry;
}

/** The record of one session. A record with `metadata` absent is valid. */
export interface SessionData {
  /** The `Mcp-Session-Id`. */
  sessionId: string;
  /** Whether the client's `notifications/initialized` has been seen. */
  initialized: boolean;
  /** Epoch milliseconds. */
  createdAt: number;
  /** Epoch milliseconds of the last exchange; a backend may keep it to the second. */
  lastActivity: number;
  /** Free for the store's owner, but for the key `mcp`, which is the transport's. */
  metadata?: Record<string, unknown> & {
    /** What the transport keeps. */
    mcp?: McpSessionState;
  };
  /**
   * Set by stores with `touchSession`: grows whenever the record changes, so that a pod which holds the
   * record can learn that it is unchanged without moving it again.
   */
  revision?: number;
}

/** Which sessions: at most one of the fields is given, and none means all. */
export interface SessionFilter {
  /** The URI of a resource. */
  subscribedTo?: string;
  /** As in `metadata.mcp.principal`. */
  principal?: string;
}

/** What an application keeps for a session. */
export interface SessionStateEntry {
  /** As it was given to `putState`; null where nothing is kept. */
  value: string | null;
  /** Grows with every write, removals among them; 0 before the first one. */
  version: number;
}

/** `'conflict'`: the state had another version. `'missing'`: the session is not there. */
export type StateWrite = 'written' | 'conflict' | 'missing';

/** Who may use a session. A field is absent if the record has none. */
export type SessionOwner = Pick<McpSessionState, 'principal' | 'namespace'>;

/** A change of single fields of a record. What is absent stays as it is. */
export interface SessionPatch {
  /** The client has completed the handshake. */
  initialized?: true;
  /** The protocol version that was negotiated. */
  protocolVersion?: string;
  /** The level of a successful `logging/setLevel`. */
  logLevel?: LoggingLevel;
  /** A URI to add to the subscriptions. */
  subscribe?: string;
  /** A URI to take from the subscriptions. */
  unsubscribe?: string;
  /** Set at most once. It only helps to report a mistake: a store may ignore it. */
  serverName?: string;
}

/**
 * The place that all pods share, and the only thing that decides whether a session exists.
 *
 * A class with the five required methods works in full. The optional ones make it faster and close the
 * races that five separate calls leave open; a store offers them where its backend is able to.
 *
 * - *Missing* is a value (`null`, `false`), never an error: a session that expired, was deleted or was never
 *   there is the same to the caller. *Outage* is a throw: the client is then told 503 and keeps its session.
 *   A store must never answer "missing" because it could not ask.
 * - *Expiry* is the store's: an expired session counts as missing from that moment, swept or not.
 * - A record is given back as it was stored. Keep it whole, or keep its five fields with `metadata` as JSON.
 * - Nothing here is called with a session id of another form than 1 to 256 visible ASCII characters.
 */
export interface SessionStore {
  /**
   * Creates the record. Stores with `patchSession` create only where nothing is, and throw
   * `SessionExistsError` otherwise; a store without it is also called to replace a record that it has.
   */
  storeSession(sessionId: string, data: SessionData): Promise<void>;
  /** Reads the record without refreshing its time to live. @returns null if the session is missing */
  getSession(sessionId: string): Promise<SessionData | null>;
  /** Sets `lastActivity` to now and starts the time to live anew; nothing where the session is missing. */
  updateSessionActivity(sessionId: string): Promise<void>;
  /**
   * Removes the record; does nothing if the session is missing.
   * @returns whether this call removed it, decided atomically: of several deletions at once, on any pods, one returns true
   *   and the others false. A store that cannot tell returns nothing; its caller then takes every deletion for the first.
   */
  deleteSession(sessionId: string): Promise<boolean | void>;
  /** Whether the session exists. Does not refresh its time to live. */
  sessionExists(sessionId: string): Promise<boolean>;

  /**
   * `getSession` and `updateSessionActivity` in one atomic step and one round trip.
   * @param known - the record that the caller holds; a store that finds its `revision` unchanged gives back that
   *   very object instead of reading the record again
   */
  touchSession?(sessionId: string, known?: SessionData): Promise<SessionData | null>;
  /**
   * Who may use a session, in one round trip and without the parts of the record that may be large; null if the session is
   * missing. Does not refresh it. Asked before a session is opened for a client that names one already, and before a pod
   * reads a record that it does not hold for a client with a principal: what others may not use costs little.
   */
  getSessionOwner?(sessionId: string): Promise<SessionOwner | null>;
  /**
   * Changes single fields atomically, never by reading the record and writing it back, and only where the
   * record exists. Changes `revision`.
   * @returns false where the session is missing
   */
  patchSession?(sessionId: string, patch: SessionPatch): Promise<boolean>;
  /**
   * The ids of all sessions, of those that are subscribed to a resource, or of those that belong to a principal, in
   * batches, from an index that expires with the sessions: never by looking through all keys. A session that comes or
   * goes meanwhile may be missing or extra; else it is listed from when the call that stored or subscribed it resolves, or
   * soon after where the index is slow.
   */
  listSessionIds?(filter?: SessionFilter): AsyncIterable<string[]>;

  /**
   * The application's state of a session; null where the session is missing. It is no part of the record: neither
   * reading nor writing it refreshes the time to live or changes `revision`.
   */
  getState?(sessionId: string): Promise<SessionStateEntry | null>;
  /**
   * Replaces the application's state, or removes it (`null`), in one atomic step. It lives and dies with the session: a
   * session with the same id that is created later begins without one.
   * @param ifVersion - writes only where the state still has this version; 0 where it was never written
   */
  putState?(sessionId: string, value: string | null, ifVersion?: number): Promise<StateWrite>;

  /**
   * Takes the lock of a session for `leaseMs`, or a place in the queue for it; whoever came first is next. A place is
   * kept by asking again within `leaseMs`, and lost otherwise. The holder who asks again holds the lock for another
   * `leaseMs`. Leases run by one clock, the backend's. The session need not exist, and its end does not free the lock.
   * @param token - unguessable, made by who waits
   * @param leaseMs - a whole number
   * @returns whether the token holds the lock now
   */
  acquireLock?(sessionId: string, token: string, leaseMs: number): Promise<boolean>;
  /** Holds the lock for another `leaseMs`. False where the token does not hold it any more: then nothing is changed. */
  renewLock?(sessionId: string, token: string, leaseMs: number): Promise<boolean>;
  /** Gives up the lock, or the place in the queue, where the token has one; nothing otherwise. */
  releaseLock?(sessionId: string, token: string): Promise<void>;

  /**
   * Makes the bus that belongs to the store, so that one object configures a whole pod. Called at most once per
   * store object; `close` of the store closes it.
   */
  createBus?(): SessionBus;
  /**
   * Seconds that a session lives without activity, if the store knows: pods refresh what they hold well before, and
   * every 20 seconds at the latest.
   */
  readonly ttlSeconds?: number;
  /** Releases what the store itself opened. Clients that were handed in stay open. */
  close?(): Promise<void>;
}

/**
 * Checks a record before it is stored: a store that kept half a record would give it to every pod.
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

/** A session keeps at most so many subscriptions across pods. */
export const MAX_SUBSCRIPTIONS = 1000;

/** What `getSessionOwner` tells of a record. */
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
