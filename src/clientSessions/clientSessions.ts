import { ClientSessionNotFoundError, InvalidOptionError } from '../errors.js';
import { SESSION_STORE_METHODS, type SessionStore } from '../ports/sessionStore.js';
import { checkFunction, checkMethods, checkNumber, checkOptionsObject, kindOf } from '../validate.js';
import { type ClientSessionBackend, ClientSessionStore, STATE_METHODS } from './clientSessionStore.js';
import type { ClientSessionOAuthOptions } from './oauthOptions.js';
import { ClientSessionOAuthProvider } from './oauthProvider.js';
import { sameText, sessionIdOfState } from './oauthState.js';
import { type ClientSession, type ClientSessionChanges, type NewClientSession, newSession, updated } from './record.js';
import type { OAuthClientProvider } from './sdkClient.js';

/** Twelve hours: the recommended `ttlSeconds` for the store. Each use of a session restarts its time. */
export const CLIENT_SESSION_TTL_SECONDS = 43_200;

/** The options of {@link createClientSessions}. */
export interface ClientSessionsOptions {
  /**
   * A store whose keys are separate from those of MCP server sessions. Its `ttlSeconds` is how long an unused session
   * lives: see {@link CLIENT_SESSION_TTL_SECONDS}. It must have `getState`, `putState` and `listSessionIds`.
   */
  store: SessionStore;
  /** Returns session ids: unguessable, 1 to 256 visible ASCII characters. @default crypto.randomUUID */
  sessionIdGenerator?: () => string;
  /** How long one call to the store may take, in milliseconds. @default 2000 */
  storeTimeoutMs?: number;
}

/** The names of all options; the type keeps the list complete. */
const OPTION_NAMES: Readonly<Record<keyof ClientSessionsOptions, true>> = {
  store: true,
  sessionIdGenerator: true,
  storeTimeoutMs: true
};

/**
 * The sessions of a web application that connects its users to MCP servers, shared by all pods. A session is identified
 * by identity and id together: for another identity it does not exist.
 *
 * Besides its own errors, every method throws `InvalidOptionError` with the name of a field or parameter,
 * `SessionStoreUnavailableError` if the store fails or is late, and `SessionRecordUnreadableError`.
 */
export interface ClientSessions {
  /** @returns the session with its defaults. @throws SessionExistsError if there is a session with this id */
  createSession(session: NewClientSession): Promise<ClientSession>;
  /** Counts as use. @returns null if this identity has no session with this id */
  getSession(identity: string, sessionId: string): Promise<ClientSession | null>;
  /**
   * Changes single fields. Changes of other fields that other pods make at the same time are kept. Counts as use.
   *
   * A new `serverUrl` removes what belonged to the old server: tokens, headers, client registration, PKCE verifier and
   * authorizations under way. A new `clientId` or `clientInformation` removes the tokens, verifier and authorizations of
   * the old client. What the same call sets is kept.
   * @param changes - the fields to change, or a function that returns them. The function gets the session and may be
   *   called more than once
   * @returns the session after the change
   * @throws ClientSessionNotFoundError if this identity has no session with this id
   */
  updateSession(
    identity: string,
    sessionId: string,
    changes: ClientSessionChanges | ((session: ClientSession) => ClientSessionChanges)
  ): Promise<ClientSession>;
  /** @returns whether the session existed */
  removeSession(identity: string, sessionId: string): Promise<boolean>;
  /** Returns an id for `createSession`. Without one, `createSession` makes it. */
  generateSessionId(): string;
  /** All sessions of an identity, the oldest first. Does not count as use. */
  getIdentitySessionsData(identity: string): Promise<ClientSession[]>;
  /** The ids of all sessions of an identity, the oldest first. */
  getIdentitySessionIds(identity: string): Promise<string[]>;
  /**
   * Finds the session of an authorization that began on any pod, by the callback's `state`. Null if this identity has
   * not begun an authorization with it, or has finished it.
   * @param identity - the user whose browser sent the callback: another user's authorization must not give them tokens
   */
  getSessionByState(identity: string, state: string): Promise<ClientSession | null>;
  /**
   * The `authProvider` for the SDK's client transports. It keeps tokens, client registration, PKCE verifiers and
   * discovered metadata in the session. Several pods may use one session at the same time.
   * @throws ClientSessionNotFoundError
   */
  oauthProvider(identity: string, sessionId: string, options: ClientSessionOAuthOptions): Promise<OAuthClientProvider>;
  /** Closes the store. The store closes only the connections that it opened. */
  close(): Promise<void>;
}

/** @throws InvalidOptionError */
export function createClientSessions(options: ClientSessionsOptions): ClientSessions {
  checkOptionsObject('options', options, OPTION_NAMES);
  checkMethods('store', options.store, [...SESSION_STORE_METHODS, ...STATE_METHODS]);
  checkFunction('sessionIdGenerator', options.sessionIdGenerator);
  checkNumber('storeTimeoutMs', options.storeTimeoutMs, { min: 1 });
  const generateSessionId = options.sessionIdGenerator ?? (() => globalThis.crypto.randomUUID());
  return clientSessionsOn(new ClientSessionStore(options.store, options.storeTimeoutMs ?? 2000), generateSessionId);
}

/** Client sessions on any backend. */
export function clientSessionsOn(sessions: ClientSessionBackend, generateSessionId: () => string): ClientSessions {
  async function getIdentitySessionsData(identity: string): Promise<ClientSession[]> {
    checkIdentity(identity);
    const found: ClientSession[] = [];
    for await (const batch of sessions.ofIdentity(identity)) found.push(...batch.map(({ session }) => session));
    return found.sort((a, b) => a.createdAt - b.createdAt);
  }

  return {
    generateSessionId,
    getIdentitySessionsData,

    async createSession(given) {
      checkOptionsObject('session', given);
      const session = newSession(given, generateSessionId);
      await sessions.create(session);
      return session;
    },
    async getSession(identity, sessionId) {
      checkIdentity(identity);
      const stored = await sessions.read(identity, sessionId);
      if (!stored) return null;
      await sessions.refresh(sessionId, identity);
      return stored.session;
    },
    async updateSession(identity, sessionId, changes) {
      checkIdentity(identity);
      if (typeof changes !== 'function') checkOptionsObject('changes', changes);
      const stored = await sessions.change(identity, sessionId, stored =>
        updated(stored, typeof changes === 'function' ? changes(stored.session) : changes)
      );
      if (!stored) throw new ClientSessionNotFoundError('This identity has no session of this id');
      return stored.session;
    },
    async removeSession(identity, sessionId) {
      checkIdentity(identity);
      return sessions.remove(identity, sessionId);
    },
    async getIdentitySessionIds(identity) {
      return (await getIdentitySessionsData(identity)).map(({ sessionId }) => sessionId);
    },
    async getSessionByState(identity, state) {
      checkIdentity(identity);
      const sessionId = sessionIdOfState(state);
      if (sessionId === undefined) return null;
      const stored = await sessions.read(identity, sessionId);
      const isPending = stored?.oauth.authorizations?.some(pending => sameText(pending.state, state));
      return isPending ? stored!.session : null;
    },
    async oauthProvider(identity, sessionId, oauthOptions) {
      checkIdentity(identity);
      const stored = await sessions.read(identity, sessionId);
      if (!stored) throw new ClientSessionNotFoundError('This identity has no session of this id');
      return new ClientSessionOAuthProvider(sessions, stored.session, oauthOptions);
    },
    close: () => sessions.close()
  };
}

function checkIdentity(identity: unknown): void {
  if (typeof identity !== 'string' || identity === '') {
    throw new InvalidOptionError('identity', kindOf(identity), 'a string that is not empty');
  }
}
