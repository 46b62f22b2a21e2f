import { ClientSessionNotFoundError, InvalidOptionError } from '../errors.js';
import { authenticateClient } from './clientAuthentication.js';
import type { ClientSessionBackend } from './clientSessionStore.js';
import { checkOAuthOptions, type ClientSessionOAuthOptions } from './oauthOptions.js';
import { challengeOf, newState, sameText } from './oauthState.js';
import {
  type ClientSession,
  clientOf,
  isOtherClient,
  isSameServer,
  type OAuthProgress,
  type PendingAuthorization,
  type StoredClientSession
} from './record.js';
import { takeRefreshTurn } from './refreshTurn.js';
import {
  type AddClientAuthentication,
  invalidGrant,
  type OAuthClientInformationMixed,
  type OAuthClientMetadata,
  type OAuthClientProvider,
  type OAuthDiscoveryState,
  type OAuthTokens
} from './sdkClient.js';

/** How many unfinished authorizations a session keeps. Beyond it, the oldest is dropped. */
const MAX_PENDING = 8;

/**
 * Keeps the data of the SDK's `auth()` in a client session. So the callback may arrive at any pod, and several pods may
 * use and refresh the same tokens.
 */
export class ClientSessionOAuthProvider implements OAuthClientProvider {
  readonly redirectUrl: string;
  readonly clientMetadata: OAuthClientMetadata;
  readonly clientMetadataUrl?: string;
  declare readonly validateResourceURL?: NonNullable<OAuthClientProvider['validateResourceURL']>;
  readonly #store: ClientSessionBackend;
  readonly #identity: string;
  readonly #sessionId: string;
  readonly #serverUrl: string;
  readonly #options: ClientSessionOAuthOptions;
  /** The latest verifiers of authorizations that began here. The SDK passes the URL with the challenge later. */
  readonly #verifiers: string[] = [];
  /** The credentials of the last token request. The refresh token is set only if the request was a refresh. */
  #presented: { clientId?: string; refreshToken?: string } | undefined;
  /** The refresh token that the SDK has read, and the newer one that replaces it in the request. */
  #replaced: { given: string; current: string } | undefined;
  /** The access token that the SDK has read last. */
  #readToken: string | undefined;
  /** This instance's turn at the refresh token. */
  #turn: string | undefined;
  /** The client that the SDK has read last, and all clients that it has read here, by id. */
  #readClientId: string | undefined;
  readonly #clients = new Map<string, OAuthClientInformationMixed>();

  /** @throws InvalidOptionError */
  constructor(store: ClientSessionBackend, session: ClientSession, options: ClientSessionOAuthOptions) {
    checkOAuthOptions(options);
    if (session.callbackUrl === undefined) {
      throw new InvalidOptionError('callbackUrl', 'a session without one', 'a session with the URL of your callback');
    }
    this.redirectUrl = session.callbackUrl;
    this.clientMetadata = {
      redirect_uris: [session.callbackUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      ...options.clientMetadata
    };
    this.clientMetadataUrl = options.clientMetadataUrl;
    // The SDK checks whether it is present.
    if (options.validateResourceURL) this.validateResourceURL = options.validateResourceURL;
    this.#store = store;
    this.#identity = session.identity;
    this.#sessionId = session.sessionId;
    this.#serverUrl = session.serverUrl;
    this.#options = options;
  }

  state(): string {
    return newState(this.#sessionId);
  }

  async clientInformation(): Promise<OAuthClientInformationMixed | undefined> {
    const { session, oauth } = await this.#read();
    const clientInformation = this.#pendingOf(oauth)?.clientInformation ?? clientOf(session);
    this.#readClientId = clientInformation?.client_id;
    if (clientInformation) this.#remember(clientInformation);
    return clientInformation;
  }

  /** If another pod has registered meanwhile, the session keeps that client: its tokens may be stored already. */
  async saveClientInformation(clientInformation: OAuthClientInformationMixed): Promise<void> {
    const clientId = clientInformation.client_id;
    const readClientId = this.#readClientId;
    this.#remember(clientInformation);
    await this.#change(({ session, oauth }) => {
      const current = clientOf(session)?.client_id;
      if (current !== readClientId && current !== clientId) return undefined;
      const next = { ...session, clientInformation, clientId };
      // Tokens of the previous client are not valid for this one.
      if (isOtherClient(current, clientId)) delete next.tokens;
      return { session: next, oauth };
    });
  }

  async tokens(): Promise<OAuthTokens | undefined> {
    const { session } = await this.#read();
    await this.#store.refresh(this.#sessionId, this.#identity);
    this.#readToken = session.tokens?.access_token;
    return session.tokens;
  }

  /** Tokens of a callback also end the authorizations under way, so that a `state` works only once. */
  async saveTokens(tokens: OAuthTokens): Promise<void> {
    const presented = this.#presented;
    if (!presented && tokens.access_token === this.#readToken) return this.#mark(tokens);
    const wereRefreshed = presented?.refreshToken !== undefined;
    await this.#change(({ session, oauth }) => {
      const current = clientOf(session)?.client_id;
      const isOfPending = !wereRefreshed && this.#pendingOf(oauth) !== undefined;
      if (!isOfPending && isOtherClient(presented?.clientId, current)) {
        throw new ClientSessionNotFoundError('The session has another client registration now');
      }
      const next = { session: { ...session, tokens: this.#renewed(tokens) }, oauth: this.#withoutTurn(oauth) };
      if (wereRefreshed) return next;
      const client = this.#pendingOf(oauth)?.clientInformation;
      if (client) Object.assign(next.session, { clientInformation: client, clientId: client.client_id });
      delete next.session.codeVerifier;
      delete next.oauth.authorizations;
      return next;
    });
    this.#presented = undefined;
  }

  /** Version 2 of the SDK writes the issuer into tokens that it has read. Another pod may have renewed them since. */
  async #mark(tokens: OAuthTokens): Promise<void> {
    await this.#change(({ session, oauth }) =>
      session.tokens?.access_token === tokens.access_token ? { session: { ...session, tokens }, oauth } : undefined
    );
  }

  saveCodeVerifier(codeVerifier: string): void {
    this.#verifiers.push(codeVerifier);
    if (this.#verifiers.length > MAX_PENDING) this.#verifiers.shift();
  }

  /** Stores state and verifier as a pair, in one step, before the redirect: two pods may begin at the same time. */
  async redirectToAuthorization(authorizationUrl: URL): Promise<void> {
    const state = authorizationUrl.searchParams.get('state') ?? '';
    const codeVerifier = await this.#verifierOf(authorizationUrl.searchParams.get('code_challenge'));
    const clientInformation = this.#clients.get(authorizationUrl.searchParams.get('client_id') ?? '');
    const { session } = await this.#change(({ session, oauth }) => ({
      session: { ...session, codeVerifier },
      oauth: this.#withoutTurn({
        ...oauth,
        authorizations: [...(oauth.authorizations ?? []), { state, codeVerifier, clientInformation }].slice(
          -MAX_PENDING
        )
      })
    }));
    await this.#options.redirectToAuthorization(authorizationUrl, session);
  }

  /** @throws ClientSessionNotFoundError if no authorization is under way, or none has the callback's state */
  async codeVerifier(): Promise<string> {
    const { session, oauth } = await this.#read();
    const isCallback = this.#options.callbackState !== undefined;
    const verifier = isCallback ? this.#pendingOf(oauth)?.codeVerifier : session.codeVerifier;
    if (verifier === undefined) throw new ClientSessionNotFoundError('The session has no such authorization under way');
    return verifier;
  }

  /** Runs before every token request. Only one pod uses a refresh token at a time, and never a replaced one. */
  readonly addClientAuthentication: AddClientAuthentication = async (headers, params, url, metadata) => {
    const refreshToken = params.get('grant_type') === 'refresh_token' ? params.get('refresh_token') : null;
    const clientInformation =
      refreshToken === null ? await this.clientInformation() : await this.#beforeRefresh(refreshToken, params);
    this.#presented = {
      clientId: clientInformation?.client_id,
      refreshToken: refreshToken === null ? undefined : (params.get('refresh_token') ?? undefined)
    };
    if (this.#options.addClientAuthentication) {
      await this.#options.addClientAuthentication(headers, params, url, metadata);
    } else if (clientInformation) {
      await authenticateClient(clientInformation, headers, params, metadata);
    }
  };

  /** A credential that another pod has renewed since this pod used it stays: the server did not refuse it. */
  async invalidateCredentials(scope: 'all' | 'client' | 'tokens' | 'verifier' | 'discovery'): Promise<void> {
    const presented = this.#presented;
    const is = (...scopes: (typeof scope)[]): boolean => scope === 'all' || scopes.includes(scope);
    await this.#change(({ session, oauth }) => {
      const next = { session: { ...session }, oauth: this.#withoutTurn(oauth) };
      const isOther = presented?.clientId !== undefined && clientOf(session)?.client_id !== presented.clientId;
      if (is('client') && isOther) return next;
      if (is('client')) {
        delete next.session.clientInformation;
        delete next.session.clientId;
      }
      // A refused code does not make the tokens invalid.
      const { refreshToken } = presented ?? {};
      const wereRefused = refreshToken !== undefined && refreshToken === session.tokens?.refresh_token;
      const areUseless = !presented || wereRefused || clientOf(session) === undefined;
      if (scope === 'all' || (scope === 'tokens' && areUseless)) delete next.session.tokens;
      if (is('verifier')) {
        delete next.session.codeVerifier;
        delete next.oauth.authorizations;
      }
      if (is('discovery')) delete next.oauth.discoveryState;
      return next;
    });
    // Version 2 of the SDK invalidates the client and then the tokens, both because of the same request.
    if (scope !== 'client') this.#presented = undefined;
  }

  async saveDiscoveryState(discoveryState: OAuthDiscoveryState): Promise<void> {
    await this.#change(({ session, oauth }) => ({ session, oauth: { ...oauth, discoveryState } }));
  }

  async discoveryState(): Promise<OAuthDiscoveryState | undefined> {
    return (await this.#read()).oauth.discoveryState;
  }

  async #read(): Promise<StoredClientSession> {
    return this.#own(await this.#store.read(this.#identity, this.#sessionId));
  }

  async #change(
    step: (stored: StoredClientSession) => Omit<StoredClientSession, 'v'> | undefined
  ): Promise<StoredClientSession> {
    const change = (stored: StoredClientSession): StoredClientSession | undefined => {
      const next = step(this.#own(stored));
      return next && { v: 1, ...next };
    };
    return this.#own(await this.#store.change(this.#identity, this.#sessionId, change));
  }

  /** The SDK uses this provider for one server: it must neither read nor write the tokens of another one. */
  #own(stored: StoredClientSession | null): StoredClientSession {
    if (!stored) throw new ClientSessionNotFoundError('The session was removed, or has expired');
    if (isSameServer(stored.session, { serverUrl: this.#serverUrl })) return stored;
    throw new ClientSessionNotFoundError('The session is for another server now: make a new OAuth provider');
  }

  /** Takes the turn, and replaces the refresh token that the SDK has read by the session's current one. */
  async #beforeRefresh(given: string, params: URLSearchParams): Promise<OAuthClientInformationMixed | undefined> {
    const { id, session } = await takeRefreshTurn(step => this.#change(step));
    this.#turn = id;
    const current = session.tokens?.refresh_token;
    if (current === undefined) {
      this.#presented = { refreshToken: given };
      // The SDK starts again with the session's current data.
      throw invalidGrant('The tokens of the session were removed meanwhile');
    }
    params.set('refresh_token', current);
    this.#replaced = { given, current };
    return clientOf(session);
  }

  #remember(client: OAuthClientInformationMixed): void {
    this.#clients.set(client.client_id, client);
    if (this.#clients.size > MAX_PENDING) this.#clients.delete(this.#clients.keys().next().value!);
  }

  #pendingOf({ authorizations }: OAuthProgress): PendingAuthorization | undefined {
    const { callbackState } = this.#options;
    if (callbackState === undefined) return undefined;
    return authorizations?.find(({ state }) => sameText(state, callbackState));
  }

  /** If the server sends no new refresh token, the SDK keeps the one that it knows. It may have been replaced. */
  #renewed(tokens: OAuthTokens): OAuthTokens {
    const isOld = this.#replaced !== undefined && tokens.refresh_token === this.#replaced.given;
    return isOld ? { ...tokens, refresh_token: this.#replaced!.current } : tokens;
  }

  #withoutTurn({ refreshing, ...oauth }: OAuthProgress): OAuthProgress {
    return refreshing === undefined || refreshing === this.#turn ? oauth : { ...oauth, refreshing };
  }

  async #verifierOf(challenge: string | null): Promise<string> {
    for (const verifier of [...this.#verifiers]) {
      if ((await challengeOf(verifier)) === challenge) return verifier;
    }
    throw new ClientSessionNotFoundError('The authorization URL has no PKCE challenge of this session');
  }
}
