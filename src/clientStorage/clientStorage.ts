import { clientSessionsOn, type ClientSessions } from '../clientSessions/clientSessions.js';
import type { ClientSessionBackend } from '../clientSessions/clientSessionStore.js';
import type { ClientSessionOAuthOptions } from '../clientSessions/oauthOptions.js';
import type { ClientSession, ClientSessionChanges, NewClientSession } from '../clientSessions/record.js';
import { InvalidOptionError } from '../errors.js';
import type { OAuthClientProvider } from '../clientSessions/sdkClient.js';
import { kindOf } from '../validate.js';

/** Sessions at the same time. */
const BATCH = 16;

/** An opened storage. */
export interface OpenedStorage {
  /** Keeps the sessions. */
  readonly backend: ClientSessionBackend;
  /** Closes what was opened for it, after the backend. */
  readonly close?: () => Promise<void>;
}

/**
 * A storage of client sessions: the connections of a web application's users to MCP servers. It is opened by the first
 * call, or by `init`. A session is identified by identity and id together.
 *
 * Besides its own errors, every method throws `InvalidOptionError` with the name of a field or parameter,
 * `BackendUnavailableError` if the storage cannot be opened, and `SessionStoreUnavailableError` if it fails.
 */
export class ClientStorage {
  readonly #open: () => Promise<OpenedStorage>;
  #opened: Promise<OpenedStorage & { sessions: ClientSessions }> | undefined;

  /** @param open - opens the storage; it is called again if it failed, or after `disconnect` */
  constructor(open: () => Promise<OpenedStorage>) {
    this.#open = open;
  }

  /** Opens the storage now. The first call of any other method does the same. */
  async init(): Promise<void> {
    await this.#ready();
  }

  /** Returns an unguessable id for {@link ClientStorage.createSession}. */
  generateSessionId(): string {
    return globalThis.crypto.randomUUID();
  }

  /**
   * Stores a new session. `identity` and `serverUrl` are required.
   * @returns the session with its defaults
   * @throws SessionExistsError if there is a session with this id
   */
  async createSession(session: NewClientSession, ttl?: undefined): Promise<ClientSession> {
    checkNoTtl(ttl);
    return (await this.#ready()).sessions.createSession(session);
  }

  /**
   * Changes single fields; the others are kept. See `ClientSessions.updateSession`.
   * @returns the session after the change
   * @throws ClientSessionNotFoundError
   */
  async updateSession(
    identity: string,
    sessionId: string,
    changes: (ClientSessionChanges & Partial<ClientSession>) | ((session: ClientSession) => ClientSessionChanges),
    ttl?: undefined
  ): Promise<ClientSession> {
    checkNoTtl(ttl);
    return (await this.#ready()).sessions.updateSession(identity, sessionId, changes);
  }

  /** Counts as use. @returns null if this identity has no session with this id */
  async getSession(identity: string, sessionId: string): Promise<ClientSession | null> {
    return (await this.#ready()).sessions.getSession(identity, sessionId);
  }

  /** All sessions of an identity, the oldest first. */
  async getIdentitySessionsData(identity: string): Promise<ClientSession[]> {
    return (await this.#ready()).sessions.getIdentitySessionsData(identity);
  }

  /** The ids of all sessions of an identity, the oldest first. */
  async getIdentitySessionIds(identity: string): Promise<string[]> {
    return (await this.#ready()).sessions.getIdentitySessionIds(identity);
  }

  /** The same as {@link ClientStorage.getIdentitySessionIds}. */
  getIdentityMcpSessions(identity: string): Promise<string[]> {
    return this.getIdentitySessionIds(identity);
  }

  /** @returns whether the session existed */
  async removeSession(identity: string, sessionId: string): Promise<boolean> {
    return (await this.#ready()).sessions.removeSession(identity, sessionId);
  }

  /** See `ClientSessions.getSessionByState`. */
  async getSessionByState(identity: string, state: string): Promise<ClientSession | null> {
    return (await this.#ready()).sessions.getSessionByState(identity, state);
  }

  /** The `authProvider` for the SDK's client transports. See `ClientSessions.oauthProvider`. */
  async oauthProvider(
    identity: string,
    sessionId: string,
    options: ClientSessionOAuthOptions
  ): Promise<OAuthClientProvider> {
    return (await this.#ready()).sessions.oauthProvider(identity, sessionId, options);
  }

  /** The ids of all sessions of all identities. */
  async getAllSessionIds(): Promise<string[]> {
    return (await this.#all()).map(({ sessionId }) => sessionId);
  }

  /** Removes all sessions of all identities. */
  async clearAll(): Promise<void> {
    const { sessions } = await this.#ready();
    const all = await this.#all();
    while (all.length > 0) {
      await Promise.all(
        all.splice(0, BATCH).map(({ identity, sessionId }) => sessions.removeSession(identity, sessionId))
      );
    }
  }

  /** Removes what has expired. It is not needed: an expired session is never returned, and is removed by itself. */
  async cleanupExpiredSessions(): Promise<void> {
    await this.#all();
  }

  /** Closes what was opened for the storage. A client that you passed to it stays open. May be called twice. */
  async disconnect(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    this.#opened = undefined;
    await opened?.backend.close();
    await opened?.close?.();
  }

  async #all(): Promise<ClientSession[]> {
    const { backend } = await this.#ready();
    const all: ClientSession[] = [];
    for await (const batch of backend.all()) all.push(...batch.map(({ session }) => session));
    return all;
  }

  #ready(): Promise<OpenedStorage & { sessions: ClientSessions }> {
    this.#opened ??= this.#open().then(
      opened => ({ ...opened, sessions: clientSessionsOn(opened.backend, () => this.generateSessionId()) }),
      (error: unknown) => {
        // The cause may be fixed while this process runs.
        this.#opened = undefined;
        throw error;
      }
    );
    return this.#opened;
  }
}

function checkNoTtl(ttl: unknown): void {
  if (ttl === undefined) return;
  throw new InvalidOptionError('ttl', kindOf(ttl), 'nothing: every session of a storage lives for its ttlSeconds');
}
