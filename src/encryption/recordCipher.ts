import { SessionRecordUnreadableError } from '../errors.js';
import type { McpSessionState, SessionData, SessionFilter, SessionOwner, SessionPatch } from '../ports/sessionStore.js';
import { isSealed, type Keyring } from './keyring.js';

/** The key in a record's metadata under which the sealed rest of it stands. */
const SEALED = 'anypodSealed';

export interface CipherRules {
  /** Nothing is sealed on the way in. */
  writePlaintext: boolean;
  /** What was never sealed is given back as it is, instead of being refused. */
  readPlaintext: boolean;
}

/**
 * Seals what a store is given and opens what it gives back. Stores change and index single fields of a record, so these
 * are sealed one by one: protocol version and log level at random, principal and subscriptions so that equal ones
 * stay equal. The rest of the metadata is one text. That text also has the principal, so that nobody who can
 * write to the store makes a session someone else's by changing, or removing, the one that is indexed.
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
   * Opens what is beside the sealed rest of a record. Only the sealed rest is proof: to whom this says that a session is
   * theirs, {@link openRecord} has the last word.
   */
  async openOwner({ principal, namespace }: SessionOwner): Promise<SessionOwner> {
    const open = async (field: keyof SessionOwner, text: string | undefined): Promise<string | undefined> =>
      typeof text === 'string' ? this.#openIndexed(field, text) : undefined;
    const [who, where] = await Promise.all([open('principal', principal), open('namespace', namespace)]);
    return { principal: who, namespace: where };
  }

  /** The patches that together do what this one does: a URI may be stored under any of the keys, or in clear. */
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

  /** The filters that together find what this one finds. */
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

  /** A URI may be there twice, sealed with two keys. */
  async #openSubscriptions(subscriptions: string[]): Promise<string[]> {
    return [...new Set(await Promise.all(subscriptions.map(uri => this.#openIndexed('subscription', uri))))];
  }

  async #openIndexed(field: string, text: string): Promise<string> {
    return isSealed(text) ? this.#keyring.openSame(text, contextOf(field)) : this.#unsealed(text);
  }

  async #sealIndexed(field: string, text: string): Promise<string> {
    return this.#rules.writePlaintext ? text : (await this.#keyring.sealSame(text, contextOf(field)))[0];
  }

  /** Every form in which a store may have an indexed text, the one that is written now in front. */
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

/** What a sealed text is bound to. Without a session it can be compared across sessions. */
function contextOf(field: string, sessionId?: string): string {
  return sessionId === undefined ? field : `${field}\0${sessionId}`;
}
