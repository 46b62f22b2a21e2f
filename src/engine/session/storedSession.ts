import {
  type InitializeRequest,
  type JSONRPCMessage,
  type JSONRPCRequest,
  LATEST_PROTOCOL_VERSION,
  type LoggingLevel,
  type MessageExtraInfo,
  SUPPORTED_PROTOCOL_VERSIONS
} from 'mcp-sdk-upstream/types.js';
import { pause, type WaitBudget } from '../../deadline.js';
import { SessionStoreUnavailableError } from '../../errors.js';
import {
  MAX_SUBSCRIPTIONS,
  type McpSessionState,
  type SessionData,
  type SessionPatch
} from '../../ports/sessionStore.js';
import type { KnownSession } from './lookup.js';
import type { SessionDirectory } from './storeAccess.js';
import type { ResolvedOptions } from '../options.js';
import { subscriptionProblem } from './subscriptionLimits.js';
import { Replay, type ReplayHost } from './handshakeReplay.js';
import { fingerprint } from '../../ports/sessionId.js';
import { noteRecovery } from './secondRecovery.js';
import { Date, performance } from '../../timers.js';

/** How often a session that is gone looks whether what it has been asked is answered. */
const ANSWER_POLL_MS = 100;

/** What the session needs of the engine that serves it. */
export interface SessionHost extends ReplayHost {
  /** Requests that have not been answered, and exchanges that have not been replied to. */
  readonly inFlight: number;
  readonly closed: boolean;
  readonly options: Pick<
    ResolvedOptions,
    'sessionFreshnessMs' | 'onsessionrecovered' | 'namespace' | 'maxSubscriptionBytes' | 'isHandWired'
  >;
  /** Closes because the session is over. */
  end(): Promise<void>;
}

/** The other pods that serve the session. */
export interface SessionPods {
  /** Listens to them from now on. */
  join(sessionId: string, waits?: WaitBudget): Promise<void>;
  /** Tells them that this pod has changed the record. */
  changed(waits?: WaitBudget): Promise<void>;
  /**
   * Tells them that the session has ended.
   * @param sessionId - if this pod serves none
   */
  ended(sessionId?: string, waits?: WaitBudget): Promise<void>;
}

/** One session as this pod holds it in external mode: the record, and what of it the server here has been told. */
export class StoredSession implements KnownSession {
  readonly #directory: SessionDirectory;
  readonly #host: SessionHost;
  readonly #pods: SessionPods;
  readonly #replay: Replay;
  #record: SessionData | undefined;
  #recovery: Promise<void> | undefined;
  /** What the server on this pod knows, from its client directly, from another pod, or by replay. */
  #initialized = false;
  #logLevel: string | undefined;
  #subscriptions: Set<string> | undefined;
  /** Changes that the client was told of while the store was away. */
  #unsaved: SessionPatch[] | undefined;
  /** When the store was last asked for the session, and said that it is there, by `performance.now()`. */
  #confirmedAt = -Infinity;
  /** This pod's own changes of the record; absent until there is one. */
  #saves: { count: number; underWay: number; refreshAfter: boolean } | undefined;
  /** Whether the store is being asked though no exchange waits for it. */
  #refreshing = false;

  constructor(directory: SessionDirectory, host: SessionHost, pods: SessionPods) {
    this.#directory = directory;
    this.#host = host;
    this.#pods = pods;
    this.#replay = new Replay(host);
  }

  /** The record as it was last read, to ask the store for changes only. */
  get record(): SessionData | undefined {
    return this.#record;
  }

  trusted(): SessionData | undefined {
    const { sessionFreshnessMs } = this.#host.options;
    if (sessionFreshnessMs === 0 || this.#recovery) return undefined;
    if (performance.now() - this.#confirmedAt >= sessionFreshnessMs) return undefined;
    if (!this.#refreshing) {
      this.#refreshing = true;
      void this.#refreshBehind()
        .catch(this.#host.report)
        .finally(() => (this.#refreshing = false));
    }
    return this.#record;
  }

  get ownChanges(): number {
    return this.#saves?.count ?? 0;
  }

  confirmed(record: SessionData, askedAt: number, ownChanges: number): SessionData {
    this.#confirmedAt = askedAt;
    // What was read may lack what this pod has changed meanwhile: then the next look tells.
    const mayLack = this.#saves && (this.#saves.underWay > 0 || this.#saves.count !== ownChanges);
    return mayLack ? (this.#record ?? record) : record;
  }

  /** Reads the record anew, and brings the server here up to date. */
  async refresh(): Promise<void> {
    if (!(await this.#isThere())) await this.#host.end();
  }

  /** The same beside an exchange that was let through on trust: where the session is gone, it is answered all the same. */
  async #refreshBehind(): Promise<void> {
    if (await this.#isThere()) return;
    this.#confirmedAt = -Infinity;
    while (this.#host.inFlight > 0 && !this.#host.closed) {
      await pause(ANSWER_POLL_MS);
    }
    await this.#host.end();
  }

  /** @returns false where the session is missing */
  async #isThere(): Promise<boolean> {
    const known = this.#record;
    if (!known) return true;
    const askedAt = performance.now();
    const { ownChanges } = this;
    const read = await this.#directory.touch(known.sessionId, known);
    if (!read) return false;
    if (this.confirmed(read, askedAt, ownChanges) === read) {
      await this.adopt(read, {});
      return true;
    }
    if (!this.#saves?.underWay) return this.#isThere();
    this.#saves.refreshAfter = true;
    return true;
  }

  /** Writes a new session. Its protocol version is what the SDK's `Server` will negotiate; see {@link onresult}. */
  async create(
    sessionId: string,
    params: InitializeRequest['params'],
    principal: string | undefined,
    waits: WaitBudget
  ): Promise<void> {
    const requested = params.protocolVersion;
    const protocolVersion = SUPPORTED_PROTOCOL_VERSIONS.includes(requested) ? requested : LATEST_PROTOCOL_VERSION;
    const mcp: McpSessionState = { protocolVersion, initialize: params };
    if (principal !== undefined) mcp.principal = principal;
    const { namespace } = this.#host.options;
    if (namespace !== undefined) mcp.namespace = namespace;
    const now = Date.now();
    const record = { sessionId, initialized: false, createdAt: now, lastActivity: now, metadata: { mcp } };
    const askedAt = performance.now();
    await this.#directory.create(record, waits);
    this.#record = record;
    this.#confirmedAt = askedAt;
  }

  /** As far as this pod knows. */
  isSubscribedTo(uri: string): boolean {
    return this.#subscriptions?.has(uri) ?? false;
  }

  /** Why the client may not subscribe to a resource; undefined if it may. */
  subscriptionProblem(uri: string): string | undefined {
    const problem = subscriptionProblem(this.#subscriptions, uri, this.#host.options.maxSubscriptionBytes);
    return problem && `Too many subscriptions: ${problem}`;
  }

  /** Whether this message answers a replayed one, and so goes to no client. */
  takesAnswer(message: JSONRPCMessage): boolean {
    return this.#replay.takesAnswer(message);
  }

  /** Whether the server on this pod is where the client left it, and this record says nothing new. */
  knows(record: SessionData): boolean {
    return record === this.#record && !this.#recovery && !this.#unsaved;
  }

  /**
   * Brings the server on this pod to where the client left it: the whole of it the first time, later what has
   * changed on other pods. Concurrent exchanges share one recovery.
   */
  async adopt(record: SessionData, extra: MessageExtraInfo, waits?: WaitBudget): Promise<void> {
    if (!this.#record) {
      this.#record = record;
      this.#recovery = this.#recover(record, extra, waits).finally(() => (this.#recovery = undefined));
    }
    if (this.#recovery) await this.#recovery;
    // Exchanges that waited for the same recovery may have read the record before and after a change.
    const isNews = record !== this.#record && !isOlder(record, this.#record);
    if (isNews) this.#record = record;
    if (isNews) this.#catchUpWithHandshake(record, extra);
    if (this.#unsaved) await this.#saveLate(this.#unsaved, waits);
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
  async recordInitialized(waits?: WaitBudget): Promise<void> {
    const record = this.#record;
    if (!record) return;
    const known = this.#initialized;
    this.#initialized = true;
    if (record.initialized) return;
    try {
      await this.#directory.patch(record.sessionId, { initialized: true }, waits);
    } catch (error) {
      // The client sends it again, maybe to another pod, which tells this one.
      this.#initialized = known;
      throw error;
    }
    // Whatever was read meanwhile is newer.
    if (this.#record === record) this.#record = { ...record, initialized: true };
  }

  /** What to store when the server has accepted this request, before the client learns of it. */
  onresult(
    request: JSONRPCRequest,
    waits?: WaitBudget
  ): ((result: Record<string, unknown>) => Promise<void>) | undefined {
    const params = request.params ?? {};
    const { uri } = params;
    switch (request.method) {
      case 'initialize':
        return result => this.#saveNegotiated(result.protocolVersion, waits);
      case 'logging/setLevel':
        // The SDK's servers refuse a level or a URI that is not a string, but the handler may be the application's.
        return typeof params.level === 'string'
          ? () => this.#save({ logLevel: params.level as LoggingLevel }, waits)
          : undefined;
      case 'resources/subscribe':
        return typeof uri === 'string' ? () => this.#save({ subscribe: uri }, waits) : undefined;
      case 'resources/unsubscribe':
        return typeof uri === 'string' ? () => this.#save({ unsubscribe: uri }, waits) : undefined;
      default:
        return undefined;
    }
  }

  async #recover(record: SessionData, extra: MessageExtraInfo, waits: WaitBudget | undefined): Promise<void> {
    // This pod listens to the others before anything is replayed: what they send meanwhile comes after the replay.
    const listening = this.#pods.join(record.sessionId, waits).then(() => this.#readAgain(record, waits));
    const { initialize, protocolVersion, logLevel, subscriptions = [] } = record.metadata?.mcp ?? {};
    this.#initialized = record.initialized;
    await this.#replay.handshake(initialize, protocolVersion, record.initialized, extra);
    await this.#replayChanges({ logLevel, subscriptions }, extra);
    const current = await listening;
    if (!current) return this.#host.end();
    if (current !== record && !isOlder(current, record)) {
      this.#record = current;
      this.#catchUpWithHandshake(current, extra);
      await this.#replayChanges(current.metadata?.mcp ?? {}, extra);
    }
    if (this.#host.options.isHandWired) noteRecovery(record.sessionId, this.#host);
    try {
      await this.#host.options.onsessionrecovered?.(record.sessionId);
    } catch (error) {
      // The application is told of the recovery; the client has no part in what it makes of that.
      this.#host.report(error as Error);
    }
  }

  /** What other pods said before this one listened to them is lost: that the session has changed, or has ended. */
  async #readAgain(record: SessionData, waits: WaitBudget | undefined): Promise<SessionData | null> {
    try {
      return await this.#directory.touch(record.sessionId, record, waits);
    } catch (error) {
      this.#host.report(error as Error);
      return record;
    }
  }

  /** The pod that was told of its end may have had no way to tell this one. */
  #catchUpWithHandshake(record: SessionData, extra: MessageExtraInfo): void {
    if (record.initialized && this.takesInitialized()) this.#replay.initialized(extra);
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

  async #saveNegotiated(protocolVersion: unknown, waits: WaitBudget | undefined): Promise<void> {
    if (typeof protocolVersion !== 'string') return;
    if (protocolVersion !== this.#record?.metadata?.mcp?.protocolVersion) await this.#save({ protocolVersion }, waits);
  }

  /** The client's request has succeeded and its answer waits: a store that fails now must not hold it back. */
  async #save(patch: SessionPatch, waits: WaitBudget | undefined): Promise<void> {
    const sessionId = this.#record?.sessionId;
    if (sessionId === undefined) return;
    if (patch.logLevel !== undefined) this.#logLevel = patch.logLevel;
    if (patch.unsubscribe !== undefined) this.#subscriptions?.delete(patch.unsubscribe);
    if (patch.subscribe !== undefined) {
      // Others may have been accepted since this one was let through.
      const problem = this.subscriptionProblem(patch.subscribe);
      if (problem !== undefined) {
        return this.#host.report(new Error(`Session ${fingerprint(sessionId)} keeps no more. ${problem}`));
      }
      (this.#subscriptions ??= new Set()).add(patch.subscribe);
    }
    if (await this.#store(patch, waits)) return;
    this.#unsaved ??= [];
    if (this.#unsaved.length < MAX_SUBSCRIPTIONS) this.#unsaved.push(patch);
  }

  /** @returns false where the store was away; that has been reported */
  async #store(patch: SessionPatch, waits: WaitBudget | undefined): Promise<boolean> {
    const saves = (this.#saves ??= { count: 0, underWay: 0, refreshAfter: false });
    saves.count++;
    saves.underWay++;
    try {
      return await this.#tryToStore(patch, waits);
    } finally {
      saves.count++;
      saves.underWay--;
      if (saves.refreshAfter && saves.underWay === 0) {
        saves.refreshAfter = false;
        void this.refresh().catch(this.#host.report);
      }
    }
  }

  async #tryToStore(patch: SessionPatch, waits: WaitBudget | undefined): Promise<boolean> {
    try {
      await this.#directory.patch(this.#record?.sessionId ?? '', patch, waits);
      await this.#pods.changed(waits);
      return true;
    } catch (error) {
      this.#host.report(error as Error);
      return !(error instanceof SessionStoreUnavailableError);
    }
  }

  /** The record that was just read lacks these changes, so nothing is to be learned from it about them. */
  async #saveLate(patches: SessionPatch[], waits: WaitBudget | undefined): Promise<void> {
    this.#unsaved = undefined;
    for (const [index, patch] of patches.entries()) {
      if (await this.#store(patch, waits)) continue;
      // One try for each exchange: the store is away still, and the client waits.
      this.#unsaved = [...patches.slice(index), ...(this.#unsaved ?? [])];
      return;
    }
  }
}

function isOlder(record: SessionData, than: SessionData | undefined): boolean {
  return record.revision !== undefined && than?.revision !== undefined && record.revision < than.revision;
}
