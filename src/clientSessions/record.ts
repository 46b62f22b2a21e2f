import { fitsHeader, isSessionId } from '../ports/sessionId.js';
import { InvalidOptionError, SessionRecordUnreadableError } from '../errors.js';
import { kindOf } from '../validate.js';
import { Date } from '../timers.js';
import type { OAuthClientInformationMixed, OAuthDiscoveryState, OAuthTokens } from './sdkClient.js';

/** The data that a client application keeps for one user's connection to one MCP server. */
export interface ClientSession {
  /** 1 to 256 visible ASCII characters. */
  sessionId: string;
  /** The owner of the connection. No other identity can read it. */
  identity: string;
  /** Your own id for the server. */
  serverId?: string;
  /** The name of the server that users see. */
  serverName?: string;
  /** The server's MCP endpoint. */
  serverUrl: string;
  /** Where the authorization server sends the user back to: the OAuth redirect URI. */
  callbackUrl?: string;
  /** How the server is reached. */
  transportType: 'sse' | 'streamable_http';
  /** Whether the connection is in use. Set by your application. */
  active: boolean;
  /** Epoch milliseconds. */
  createdAt: number;
  /** Headers that your code sends to the server. */
  headers?: Record<string, string>;
  /** The OAuth tokens, as received from the authorization server. */
  tokens?: OAuthTokens;
  /** As registered with the authorization server. */
  clientInformation?: OAuthClientInformationMixed;
  /** The PKCE verifier of the latest authorization. */
  codeVerifier?: string;
  /** The OAuth client id. */
  clientId?: string;
}

type Fixed = 'sessionId' | 'identity' | 'createdAt';
type Defaulted = 'sessionId' | 'createdAt' | 'transportType' | 'active';

/** A new session. Defaults: a new id, the current time, `streamable_http`, and not active. */
export type NewClientSession = Omit<ClientSession, Defaulted> & Partial<Pick<ClientSession, Defaulted>>;

/** Fields to change. An absent or `undefined` field stays unchanged; `null` removes an optional field. */
export type ClientSessionChanges = {
  [Field in keyof Omit<ClientSession, Fixed>]?: undefined extends ClientSession[Field]
    ? ClientSession[Field] | null
    : ClientSession[Field];
};

/** An authorization for which the user was redirected. */
export interface PendingAuthorization {
  state: string;
  codeVerifier: string;
  /** The client to which the code belongs: two pods that begin at the same time may both have registered one. */
  clientInformation: OAuthClientInformationMixed | undefined;
}

/** The OAuth provider's own data, stored with the session. */
export interface OAuthProgress {
  /** The latest unfinished authorizations, oldest first. */
  authorizations?: PendingAuthorization[];
  discoveryState?: OAuthDiscoveryState;
  /** The turn that may use the refresh token now. */
  refreshing?: string;
}

/** The text in the store, as JSON. */
export interface StoredClientSession {
  v: 1;
  session: ClientSession;
  oauth: OAuthProgress;
}

const FIXED: readonly string[] = ['sessionId', 'identity', 'createdAt'] satisfies Fixed[];
const REQUIRED: readonly string[] = [...FIXED, 'serverUrl', 'transportType', 'active'];

/** For each field: a check of the value, and the allowed values in words. */
const FIELDS: { [Field in keyof ClientSession]-?: [isGood: (value: unknown) => boolean, allowed: string] } = {
  sessionId: [value => isSessionId(value as string), '1 to 256 visible ASCII characters'],
  identity: [value => isString(value) && value.length > 0, 'a string that is not empty'],
  serverId: [isString, 'a string'],
  serverName: [isString, 'a string'],
  serverUrl: [value => isString(value) && /^https?:/.test(urlOf(value)?.protocol ?? ''), 'an http or https URL'],
  callbackUrl: [isCallbackUrl, 'an absolute URL that does not run as a script'],
  transportType: [value => value === 'sse' || value === 'streamable_http', "'sse' or 'streamable_http'"],
  active: [value => typeof value === 'boolean', 'true or false'],
  createdAt: [value => Number.isFinite(value), 'a number of epoch milliseconds'],
  headers: [isHeaders, 'an object of header names and values, without control characters'],
  tokens: [value => isObject(value) && isString(value.access_token), 'an object with an access_token'],
  clientInformation: [value => isObject(value) && isString(value.client_id), 'an object with a client_id'],
  codeVerifier: [isString, 'a string'],
  clientId: [isString, 'a string']
};

/** @throws InvalidOptionError that names the field */
export function newSession(given: NewClientSession, generateSessionId: () => string): ClientSession {
  const defaults = { sessionId: '', createdAt: Date.now(), transportType: 'streamable_http', active: false } as const;
  const session = { ...defaults, ...withoutUndefined(given) } as ClientSession;
  if (session.sessionId === '') session.sessionId = generateSessionId();
  for (const field of new Set([...REQUIRED, ...Object.keys(session)])) {
    checkField(field, session[field as keyof ClientSession]);
  }
  return session;
}

/** @throws InvalidOptionError that names the field */
export function changed(session: ClientSession, changes: ClientSessionChanges): ClientSession {
  const next: Record<string, unknown> = { ...session };
  for (const [field, value] of Object.entries(withoutUndefined(changes))) {
    // An application that has read a session may pass all of it.
    if (FIXED.includes(field) && value === session[field as Fixed]) continue;
    if (FIXED.includes(field))
      throw new InvalidOptionError(field, kindOf(value), 'no value, because the field never changes');
    if (value === null && field in FIELDS && !REQUIRED.includes(field)) {
      delete next[field];
      continue;
    }
    checkField(field, value);
    next[field] = value;
  }
  return next as unknown as ClientSession;
}

/** Whether two sessions are for the same MCP server. */
export function isSameServer(a: ClientSession, b: Pick<ClientSession, 'serverUrl'>): boolean {
  return urlOf(a.serverUrl)?.href === urlOf(b.serverUrl)?.href;
}

/** Whether both client ids are known and differ. */
export function isOtherClient(before: string | undefined, after: string | undefined): boolean {
  return before !== undefined && after !== undefined && before !== after;
}

/** The client that is registered with the authorization server. */
export function clientOf({ clientInformation, clientId }: ClientSession): OAuthClientInformationMixed | undefined {
  return clientInformation ?? (clientId === undefined ? undefined : { client_id: clientId });
}

/**
 * Applies an update. Removes the data of the previous server or client registration, unless the update sets it: the
 * tokens of one server must never be sent to another.
 * @throws InvalidOptionError that names the field
 */
export function updated(stored: StoredClientSession, changes: ClientSessionChanges): StoredClientSession {
  const before = stored.session;
  const given = withoutUndefined(changes);
  const session = changed(before, changes);
  const isOtherServer = !isSameServer(before, session);
  const remove = (...fields: (keyof ClientSessionChanges)[]): void => {
    for (const field of fields) if (!(field in given)) delete (session as Partial<ClientSession>)[field];
  };
  if (isOtherServer) remove('headers', 'clientInformation', 'clientId');
  matchClient(session, given);
  const clientBefore = clientOf(before)?.client_id;
  const hasLeftClient = clientBefore !== undefined && clientBefore !== clientOf(session)?.client_id;
  if (!isOtherServer && !hasLeftClient) return { ...stored, session };
  remove('tokens', 'codeVerifier');
  const { discoveryState } = stored.oauth;
  return { ...stored, session, oauth: isOtherServer || !discoveryState ? {} : { discoveryState } };
}

/** `clientId` and `clientInformation` must name the same client. The one that the update sets wins. */
function matchClient(session: ClientSession, given: Record<string, unknown>): void {
  const { clientInformation, clientId } = session;
  if (!clientInformation || clientInformation.client_id === clientId) return;
  if (isString(given.clientId) && isObject(given.clientInformation)) {
    throw new InvalidOptionError('clientId', 'another client than in clientInformation', 'its client_id');
  }
  if (isString(given.clientId)) delete session.clientInformation;
  else if (isObject(given.clientInformation)) session.clientId = clientInformation.client_id;
}

/** @throws SessionRecordUnreadableError */
export function parseStored(sessionId: string, text: string): StoredClientSession {
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch {
    // The parser's message quotes the text, which may be a token.
    throw new SessionRecordUnreadableError('It is not JSON');
  }
  const isOurs = isObject(stored) && stored.v === 1 && isObject(stored.session) && isObject(stored.oauth);
  if (!isOurs) throw new SessionRecordUnreadableError('It is not a client session, or is one of a newer version');
  const known = stored as StoredClientSession;
  if (known.session.sessionId !== sessionId) throw new SessionRecordUnreadableError('It belongs to another session');
  return known;
}

function checkField(field: string, value: unknown): void {
  if (!Object.hasOwn(FIELDS, field)) {
    throw new InvalidOptionError(field, kindOf(value), `one of the fields ${Object.keys(FIELDS).join(', ')}`);
  }
  const [isGood, allowed] = FIELDS[field as keyof ClientSession];
  if (!isGood(value)) throw new InvalidOptionError(field, kindOf(value), allowed);
}

function withoutUndefined(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function isString(value: unknown): value is string {
  return typeof value === 'string';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Refuses the redirect URIs that the SDK refuses, and also `file:` and `blob:`. */
function isCallbackUrl(value: unknown): boolean {
  const protocol = isString(value) ? urlOf(value)?.protocol : undefined;
  return (
    protocol !== undefined && !['javascript:', 'data:', 'vbscript:', 'file:', 'blob:', 'about:'].includes(protocol)
  );
}

/** RFC 9110 section 5: a line break in a value would begin another header. */
function isHeaders(value: unknown): boolean {
  const isHeader = ([name, text]: [string, unknown]): boolean =>
    /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && isString(text) && fitsHeader(text);
  return isObject(value) && Object.entries(value).every(isHeader);
}

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}
