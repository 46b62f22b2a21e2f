import {
  type InitializeRequest,
  type JSONRPCMessage,
  type JSONRPCRequest,
  LATEST_PROTOCOL_VERSION,
  type LoggingLevel,
  type MessageExtraInfo,
  SUPPORTED_PROTOCOL_VERSIONS
} from 'mcp-sdk-upstream/types.js';
import { SessionStoreUnavailableError } from '../errors.js';
import { MAX_SUBSCRIPTIONS, type McpSessionState, type SessionData, type SessionPatch } from '../sessionStore.js';
import type { SessionDirectory } from './directory.js';
import type { ReportError } from './exchange.js';
import { Replay, type ReplayedMessageExtraInfo } from './replay.js';
import { fingerprint } from './sessionId.js';

export interface StoredSessionHooks {
  /** Hands the server a message that its client sent elsewhere, or earlier. */
  emit: (message: JSONRPCMessage, extra: ReplayedMessageExtraInfo) => void;
  /** Listens to the other pods that serve the session. */
  join: (sessionId: string) => Promise<void>;
  /** The session is live here. */
  onrecovered: (sessionId: string) => void | Promise<void>;
  /** This pod has changed the record. */
  onchanged: () => Promise<void>;
}

/** One session as this pod holds it in external mode: the record, and what of it the server here has been told. */
export class StoredSession {
  readonly #directory: SessionDirectory;
  readonly #report: ReportError;
  readonly #replay: Replay;
  readonly #hooks: StoredSessionHooks;
  #record: SessionData | undefined;
  #recovery: Promise<void> | undefined;
  /** What the server on this pod knows, from its client directly, from another pod, or by replay. */
  #initialized = false;
  #logLevel: string | undefined;
  #subscriptions: Set<string> | undefined;
  /** Changes that the client was told of while the store was away. */
  #unsaved: SessionPatch[] = [];

  constructor(directory: SessionDirectory, hooks: StoredSessionHooks, report: ReportError) {
    this.#directory = directory;
    this.#hooks = hooks;
    this.#report = report;
    this.#replay = new Replay(hooks.emit, report);
  }

  /** The record as it was last read, to ask the store for changes only. */
  get record(): SessionData | undefined {
    return this.#record;
  }

  /** Writes a new session. Its protocol version is what the SDK's `Server` will negotiate; see {@link onresult}. */
  async create(sessionId: string, params: InitializeRequest['params'], principal: string | undefined): Promise<void> {
    const requested = params.protocolVersion;
    const protocolVersion = SUPPORTED_PROTOCOL_VERSIONS.includes(requested) ? requested : LATEST_PROTOCOL_VERSION;
    const mcp: McpSessionState = { protocolVersion, initialize: params };
    if (principal !== undefined) mcp.principal = principal;
    const now = Date.now();
    const record = { sessionId, initialized: false, createdAt: now, lastActivity: now, metadata: { mcp } };
    await this.#directory.create(record);
    this.#record = record;
  }

  /** Whether this message answers a replayed one, and so goes to no client. */
  takesAnswer(message: JSONRPCMessage): boolean {
    return this.#replay.takesAnswer(message);
  }

  /**
   * Brings the server on this pod to where the client left it: the whole of it the first time, later what has
   * changed on other pods. Concurrent exchanges share one recovery.
   */
  async adopt(record: SessionData, extra: MessageExtraInfo): Promise<void> {
    if (!this.#record) {
      this.#record = record;
      this.#recovery = this.#recover(record, extra).finally(() => (this.#recovery = undefined));
    }
    if (this.#recovery) await this.#recovery;
    // Exchanges that waited for the same recovery may have read the record before and after a change.
    const isNews = record !== this.#record && !isOlder(record, this.#record);
    if (isNews) this.#record = record;
    if (this.#unsaved.length > 0) await this.#saveLate();
    else if (isNews) await this.#replayChanges(record.metadata?.mcp ?? {}, extra);
  }

  /** Settles when the server here is where the client left it. */
  async recovered(): Promise<void> {
    await this.#recovery;
  }

  /** Whether the server here is still to learn, from another pod, that the handshake is complete. */
  takesInitialized(): boolean {
    if (this.#initialized) return false;
    return (this.#initialized = true);
  }

  /** Runs before the server sees the client's messages: the store learns that the handshake is complete. */
  async beforeDispatch(messages: JSONRPCMessage[]): Promise<void> {
    const record = this.#record;
    if (!record) return;
    if (!messages.some(isInitialized)) return;
    this.#initialized = true;
    if (record.initialized) return;
    await this.#directory.patch(record.sessionId, { initialized: true });
    this.#record = { ...record, initialized: true };
  }

  /** What to store when the server has accepted this request, before the client learns of it. */
  onresult(request: JSONRPCRequest): ((result: Record<string, unknown>) => Promise<void>) | undefined {
    const params = request.params ?? {};
    switch (request.method) {
      case 'initialize':
        return result => this.#saveNegotiated(result.protocolVersion);
      case 'logging/setLevel':
        return () => this.#save({ logLevel: params.level as LoggingLevel });
      case 'resources/subscribe':
        return () => this.#save({ subscribe: String(params.uri) });
      case 'resources/unsubscribe':
        return () => this.#save({ unsubscribe: String(params.uri) });
      default:
        return undefined;
    }
  }

  async #recover(record: SessionData, extra: MessageExtraInfo): Promise<void> {
    // Other pods are heard from before anything is replayed: what they say meanwhile follows behind.
    const joined = this.#hooks.join(record.sessionId);
    const { initialize, protocolVersion, logLevel, subscriptions = [] } = record.metadata?.mcp ?? {};
    this.#initialized = record.initialized;
    await this.#replay.handshake(initialize, protocolVersion, record.initialized, extra);
    await this.#replayChanges({ logLevel, subscriptions }, extra);
    await joined;
    await this.#hooks.onrecovered(record.sessionId);
  }

  async #replayChanges(state: McpSessionState, extra: MessageExtraInfo): Promise<void> {
    const replayed: Promise<void>[] = [];
    if (state.logLevel !== undefined && state.logLevel !== this.#logLevel) {
      this.#logLevel = state.logLevel;
      replayed.push(this.#replay.setLevel(state.logLevel, extra));
    }
    const wanted = state.subscriptions ?? [];
    if (wanted.length > 0 || this.#subscriptions?.size) {
      const known = (this.#subscriptions ??= new Set());
      for (const uri of wanted) {
        if (known.has(uri)) continue;
        known.add(uri);
        replayed.push(this.#replay.subscribe(uri, extra));
      }
      for (const uri of known) {
        if (wanted.includes(uri)) continue;
        known.delete(uri);
        replayed.push(this.#replay.unsubscribe(uri, extra));
      }
    }
    await Promise.all(replayed);
  }

  async #saveNegotiated(protocolVersion: unknown): Promise<void> {
    if (typeof protocolVersion !== 'string') return;
    if (protocolVersion !== this.#record?.metadata?.mcp?.protocolVersion) await this.#save({ protocolVersion });
  }

  /** The client's request has succeeded and its answer waits: a store that fails now must not hold it back. */
  async #save(patch: SessionPatch): Promise<void> {
    const sessionId = this.#record?.sessionId;
    if (sessionId === undefined) return;
    if (patch.logLevel !== undefined) this.#logLevel = patch.logLevel;
    if (patch.unsubscribe !== undefined) this.#subscriptions?.delete(patch.unsubscribe);
    if (patch.subscribe !== undefined) {
      const known = (this.#subscriptions ??= new Set());
      if (known.size >= MAX_SUBSCRIPTIONS) {
        const session = fingerprint(sessionId);
        return this.#report(
          new Error(`Session ${session} has ${MAX_SUBSCRIPTIONS} subscriptions: one more is not kept`)
        );
      }
      known.add(patch.subscribe);
    }
    if (!(await this.#store(patch)) && this.#unsaved.length < MAX_SUBSCRIPTIONS) this.#unsaved.push(patch);
  }

  /** @returns false where the store was away; that has been reported */
  async #store(patch: SessionPatch): Promise<boolean> {
    try {
      await this.#directory.patch(this.#record?.sessionId ?? '', patch);
      await this.#hooks.onchanged();
      return true;
    } catch (error) {
      this.#report(error as Error);
      return !(error instanceof SessionStoreUnavailableError);
    }
  }

  /** The record that was just read lacks these changes, so nothing is to be learned from it about them. */
  async #saveLate(): Promise<void> {
    const patches = this.#unsaved;
    this.#unsaved = [];
    for (const [index, patch] of patches.entries()) {
      if (await this.#store(patch)) continue;
      // One try for each exchange: the store is away still, and the client waits.
      this.#unsaved.unshift(...patches.slice(index));
      return;
    }
  }
}

function isOlder(record: SessionData, than: SessionData | undefined): boolean {
  return record.revision !== undefined && than?.revision !== undefined && record.revision < than.revision;
}

export function isInitialized(message: JSONRPCMessage): boolean {
  return 'method' in message && message.method === 'notifications/initialized';
}
