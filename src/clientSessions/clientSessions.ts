import type { OAuthClientProvider } from 'mcp-sdk-upstream/client/auth.js';
import { ClientSessionNotFoundError, InvalidOptionError } from '../errors.js';
import { SESSION_STORE_METHODS, type SessionStore } from '../ports/sessionStore.js';
import { checkFunction, checkMethods, checkNumber, checkOptionsObject, kindOf } from '../validate.js';
import { ClientSessionStore, STATE_METHODS } from './clientSessionStore.js';
import { type ClientSessionOAuthOptions, ClientSessionOAuthProvider } from './oauthProvider.js';
import { sameText, sessionIdOfState } from './oauthState.js';
import { type ClientSession, type ClientSessionChanges, type NewClientSession, newSession, updated } from './record.js';

/** Twelve hours: what a client session's store is to have as `ttlSeconds`. A session that is used lives on. */
export const CLIENT_SESSION_TTL_SECONDS = 43_200;

/** The options of {@link createClientSessions}. */
export interface ClientSessionsOptions {
  /**
   * A store with a key space of its own, that of MCP server sessions is another. Its `ttlSeconds` is how long a session
   * lives unused: see {@link CLIENT_SESSION_TTL_SECONDS}. It must have `getState`, `putState` and `listSessionIds`.
   */
  store: SessionStore;
  /** Makes the ids: unguessable, 1 to 256 visible ASCII characters. @default crypto.randomUUID */
  sessionIdGenerator?: () => string;
  /** How long one call to the store may take, in milliseconds. @default 2000 */
  storeTimeoutMs?: number;
}

/**
 * The sessions of a web application that connects its users to MCP servers, on every pod the same. A session is found by
 * its identity and its id together: to another identity it does not exist.
 *
 * Besides what is said of each, every method throws `InvalidOptionError` that names a field or parameter,
 * `SessionStoreUnavailableError` where the store fails or is late, and `SessionRecordUnreadableError`.
 */
export interface ClientSessions {
  /** @returns the session with its defaults. @throws SessionExistsError where there is one of this id */
  createSession(session: NewClientSession): Promise<ClientSession>;
  /** Counts as use. @returns null where there is none of this identity and id */
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
  /** @returns whether there was one */
  removeSession(identity: string, sessionId: string): Promise<boolean>;
  /** An id for `createSession`, which makes one itself where it is given none. */
  generateSessionId(): string;
  /** All sessions of an identity, the oldest first. Does not count as use. */
  getIdentitySessionsData(identity: string): Promise<ClientSession[]>;
  /** Their ids. */
  getIdentitySessionIds(identity: string): Promise<string[]>;
  /**
   * The session for which an authorization was begun, on whichever pod, by the `state` that the callback carries; null
   * where this identity has begun none with it, or it was finished already.
   * @param identity - the user whose browser asks: whoever else began the authorization must not be given its tokens
   */
  getSessionByState(identity: string, state: string): Promise<ClientSession | null>;
  /**
   * The `authProvider` of the SDK's client transports, which keeps tokens, client registration, PKCE verifiers and what
   * was discovered in the session. Pods may use one session at the same time.
   * @throws ClientSessionNotFoundError
   */
  oauthProvider(identity: string, sessionId: string, options: ClientSessionOAuthOptions): Promise<OAuthClientProvider>;
  /** Closes the store, which closes what it has opened itself. */
  close(): Promise<void>;
}

/** @throws InvalidOptionError */
export function createClientSessions(options: ClientSessionsOptions): ClientSessions {
  checkOptionsObject('options', options);
  checkMethods('store', options.store, [...SESSION_STORE_METHODS, ...STATE_METHODS]);
  checkFunction('sessionIdGenerator', options.sessionIdGenerator);
  checkNumber('storeTimeoutMs', options.storeTimeoutMs, { min: 1 });
  const generateSessionId = options.sessionIdGenerator ?? (() => globalThis.crypto.randomUUID());
  const sessions = new ClientSessionStore(options.store, options.storeTimeoutMs ?? 2000);

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
      await sessions.refresh(sessionId);
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
