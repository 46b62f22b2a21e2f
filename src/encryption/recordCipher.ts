import { SessionRecordUnreadableError } from '../errors.js';
import type { McpSessionState, SessionData, SessionFilter, SessionOwner, SessionPatch } from '../ports/sessionStore.js';
import { isSealed, type Keyring } from './keyring.js';

/** The key in a record's metadata that contains the sealed rest of the metadata. */
const SEALED = 'anypodSealed';

export interface CipherRules {
  /** Nothing is sealed on write. */
  writePlaintext: boolean;
  /** Unsealed values are returned unchanged instead of being refused. */
  readPlaintext: boolean;
}

/**
 * Seals records before a store gets them, and opens the records it returns. Stores change and index single fields, so
 * these are sealed one by one: protocol version and log level at random, principal and subscriptions so that equal
 * values stay equal. The rest of the metadata is one text. It also contains the principal, so that an attacker with
 * write access cannot change the owner of a session by changing, or removing, the indexed principal.
 */
export class RecordCipher {
  readonly #keyring: Keyring;
  readonly #rules: CipherRules;

  constructor(keyring: Keyring, rules: CipherRules) {
    this.#keyring = keyring;
    this.#rules = rules;
  }

  async sealRecord(sessionId: string, data: SessionData): Promise<SessionData> {
    if (this.#rules.writePlaintext) return data;
    const { protocolVersion, logLevel, subscriptions, ...fixed } = data.metadata?.mcp ?? {};
    const metadata = data.metadata && { ...data.metadata, mcp: data.metadata.mcp && fixed };
    const [sealed, mcp, indexed, principal, namespace] = await Promise.all([
      this.sealText(sessionId, 'record', JSON.stringify({ metadata })),
      this.#sealFields(sessionId, { protocolVersion, logLevel }),
      Promise.all((subscriptions ?? []).map(uri => this.#sealIndexed('subscription', uri))),
      fixed.principal === undefined ? undefined : this.#sealIndexed('principal', fixed.principal),
      fixed.namespace === undefined ? undefined : this.#sealIndexed('namespace', fixed.namespace)
    ]);
    if (subscriptions) mcp.subscriptions = indexed;
    if (principal !== undefined) mcp.principal = principal;
    if (namespace !== undefined) mcp.namespace = namespace;
    return { ...data, metadata: { [SEALED]: sealed, mcp } };
  }

  /** @throws SessionRecordUnreadableError */
  async openRecord(sessionId: string, record: SessionData): Promise<SessionData> {
    const sealed = record.metadata?.[SEALED];
    const given: McpSessionState = record.metadata?.mcp ?? {};
    const [metadata, protocolVersion, logLevel, serverName, subscriptions] = await Promise.all([
      typeof sealed === 'string' ? this.#openMetadata(sessionId, sealed) : this.#unsealed(record.metadata),
      this.#openField(sessionId, 'protocolVersion', given.protocolVersion),
      this.#openField(sessionId, 'logLevel', given.logLevel),
      this.#openField(sessionId, 'serverName', given.serverName),
      Array.isArray(given.subscriptions) ? this.#openSubscriptions(given.subscriptions) : given.subscriptions
    ]);
    const mcp: McpSessionState = { ...metadata?.mcp };
    if (protocolVersion !== undefined) mcp.protocolVersion = protocolVersion;
    if (logLevel !== undefined) mcp.logLevel = logLevel as McpSessionState['logLevel'];
    if (serverName !== undefined) mcp.serverName = serverName;
    if (subscriptions !== undefined) mcp.subscriptions = subscriptions;
    const opened = { ...record, metadata };
    if (Object.keys(mcp).length > 0) opened.metadata = { ...metadata, mcp };
    if (opened.metadata === undefined) delete opened.metadata;
    return opened;
  }

  /**
   * Opens the owner fields, which are stored outside the sealed rest of a record. Only the sealed rest is proof:
   * if these fields match a caller, {@link openRecord} still decides.
   */
  async openOwner({ principal, namespace }: SessionOwner): Promise<SessionOwner> {
    const open = async (field: keyof SessionOwner, text: string | undefined): Promise<string | undefined> =>
      typeof text === 'string' ? this.#openIndexed(field, text) : undefined;
    const [who, where] = await Promise.all([open('principal', principal), open('namespace', namespace)]);
    return { principal: who, namespace: where };
  }

  /** The sealed patches that replace this one: a URI may be stored under any of the keys, or in clear. */
  async sealPatch(sessionId: string, patch: SessionPatch): Promise<[SessionPatch, ...SessionPatch[]]> {
    const { protocolVersion, logLevel, subscribe, unsubscribe, serverName, ...rest } = patch;
    const sealed: SessionPatch = {
      ...rest,
      ...((await this.#sealFields(sessionId, { protocolVersion, logLevel, serverName })) as SessionPatch)
    };
    if (subscribe !== undefined) sealed.subscribe = await this.#sealIndexed('subscription', subscribe);
    if (unsubscribe === undefined) return [sealed];
    const [first, ...others] = await this.#namesOf('subscription', unsubscribe);
    return [{ ...sealed, unsubscribe: first! }, ...others.map(name => ({ unsubscribe: name }))];
  }

  /** The sealed filters that together replace this one. */
  async sealFilter({ subscribedTo, principal, ...rest }: SessionFilter): Promise<SessionFilter[]> {
    if (subscribedTo !== undefined) {
      return (await this.#namesOf('subscription', subscribedTo)).map(name => ({ ...rest, subscribedTo: name }));
    }
    if (principal === undefined) return [rest];
    return (await this.#namesOf('principal', principal)).map(name => ({ ...rest, principal: name }));
  }

  /** Seals a text that belongs to one session. */
  async sealText(sessionId: string, field: string, text: string): Promise<string> {
    return this.#rules.writePlaintext ? text : this.#keyring.seal(text, contextOf(field, sessionId));
  }

  /** @throws SessionRecordUnreadableError */
  async openText(sessionId: string, field: string, text: string): Promise<string> {
    return isSealed(text) ? this.#keyring.open(text, contextOf(field, sessionId)) : this.#unsealed(text);
  }

  async #sealFields(
    sessionId: string,
    fields: Pick<McpSessionState, 'protocolVersion' | 'logLevel' | 'serverName'>
  ): Promise<McpSessionState> {
    const given = Object.entries(fields).filter(([, text]) => text !== undefined);
    const seal = async ([field, text]: [string, string]) =>
      [field, await this.sealText(sessionId, field, text)] as const;
    return Object.fromEntries(await Promise.all(given.map(seal)));
  }

  async #openField(sessionId: string, field: string, text: string | undefined): Promise<string | undefined> {
    return typeof text === 'string' ? this.openText(sessionId, field, text) : text;
  }

  async #openMetadata(sessionId: string, sealed: string): Promise<SessionData['metadata']> {
    if (!isSealed(sealed)) throw new SessionRecordUnreadableError('What is sealed has no such form');
    const text = await this.openText(sessionId, 'record', sealed);
    return (JSON.parse(text) as Pick<SessionData, 'metadata'>).metadata;
  }

  /** A URI may be stored twice, sealed with two keys. */
  async #openSubscriptions(subscriptions: string[]): Promise<string[]> {
    return [...new Set(await Promise.all(subscriptions.map(uri => this.#openIndexed('subscription', uri))))];
  }

  async #openIndexed(field: string, text: string): Promise<string> {
    return isSealed(text) ? this.#keyring.openSame(text, contextOf(field)) : this.#unsealed(text);
  }

  async #sealIndexed(field: string, text: string): Promise<string> {
    return this.#rules.writePlaintext ? text : (await this.#keyring.sealSame(text, contextOf(field)))[0];
  }

  /** Every form in which a store may have an indexed text, the currently written form first. */
  async #namesOf(field: string, text: string): Promise<string[]> {
    const sealed = await this.#keyring.sealSame(text, contextOf(field));
    if (this.#rules.writePlaintext) return [text, ...sealed];
    return this.#rules.readPlaintext ? [...sealed, text] : sealed;
  }

  #unsealed<T>(value: T): T {
    if (this.#rules.readPlaintext || this.#rules.writePlaintext) return value;
    throw new SessionRecordUnreadableError('It is not encrypted');
  }
}

/** The context of a sealed text. Without a session id, texts can be compared across sessions. */
function contextOf(field: string, sessionId?: string): string {
  return sessionId === undefined ? field : `${field}\0${sessionId}`;
}
