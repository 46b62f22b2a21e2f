import type {
  InitializeRequest,
  JSONRPCMessage,
  JSONRPCRequest,
  LoggingLevel,
  MessageExtraInfo
} from '../../sdkTypes.js';
import type { WaitBudget } from '../../deadline.js';
import { fingerprint } from '../../ports/sessionId.js';
import type { SessionData, SessionPatch } from '../../ports/sessionStore.js';
import { performance } from '../../timers.js';
import type { OtherPods, SessionContext } from '../context.js';
import { Freshness } from './freshness.js';
import { HandshakeReplay } from './handshakeReplay.js';
import type { KnownSession } from './lookup.js';
import { isOlder, newRecord } from './newRecord.js';
import { reportOtherServer } from './otherServer.js';
import { RecordChanges } from './recordChanges.js';
import { noteRecovery } from './secondRecovery.js';
import type { StoreAccess } from './storeAccess.js';

/**
 * One session on this pod in external mode: its record, how fresh the record is, and what was replayed to the server.
 */
export class StoredSession implements KnownSession {
  readonly #storeAccess: StoreAccess;
  readonly #context: SessionContext;
  readonly #otherPods: OtherPods;
  /** What the server on this pod knows. */
  readonly #server: HandshakeReplay;
  #record: SessionData | undefined;
  #recovery: Promise<void> | undefined;
  /** Undefined until this pod changes the record. */
  #changes: RecordChanges | undefined;
  /** How long ago the store has confirmed the session; undefined if every request waits for the store. */
  readonly freshness: Freshness | undefined;

  constructor(storeAccess: StoreAccess, context: SessionContext, otherPods: OtherPods) {
    this.#storeAccess = storeAccess;
    this.#context = context;
    this.#otherPods = otherPods;
    this.#server = new HandshakeReplay(context);
    if (context.options.sessionFreshnessMs > 0) this.freshness = new Freshness(context, () => this.#exists());
  }

  /** The record from the last read, so that the store only has to return changes. */
  get record(): SessionData | undefined {
    return this.#record;
  }

  freshRecord(): SessionData | undefined {
    return !this.#recovery && this.freshness?.check() ? this.#record : undefined;
  }

  /** Stops what the session has planned on this pod, and awaits no answer to a replayed message any more. */
  close(): void {
    this.freshness?.close();
    this.#server.close();
  }

  get ownChangeCount(): number {
    return this.#changes?.count ?? 0;
  }

  confirmed(record: SessionData, askedAt: number, ownChangeCount: number): SessionData {
    this.freshness?.confirm(askedAt);
    // The record may lack a change that this pod made during the read. The next look-up then returns it.
    const changes = this.#changes;
    const mayLack = changes && (changes.areUnderWay || changes.count !== ownChangeCount);
    return mayLack ? (this.#record ?? record) : record;
  }

  /** Keeps the session alive while the client only holds a stream. Notices a change that no other pod has announced. */
  async keepAlive(): Promise<void> {
    if (!this.#record || !(await this.#storeAccess.isUnchanged(this.#record))) await this.refresh();
  }

  /** Reads the record again and updates the server on this pod. */
  async refresh(): Promise<void> {
    if (!(await this.#exists())) await this.#context.onEnded('missing');
  }

  /** Reads the record again. @returns false if the session is missing */
  async #exists(): Promise<boolean> {
    const known = this.#record;
    if (!known) return true;
    const askedAt = performance.now();
    const { ownChangeCount } = this;
    const read = await this.#storeAccess.touch(known.sessionId, known);
    if (!read) return false;
    if (this.confirmed(read, askedAt, ownChangeCount) === read) {
      await this.update(read, {});
      return true;
    }
    if (!this.#changes?.areUnderWay) return this.#exists();
    this.#changes.refreshAfter();
    return true;
  }

  /**
   * Writes a new session. Its protocol version is the one that the SDK's `Server` will negotiate; see {@link onresult}.
   */
  async create(
    sessionId: string,
    params: InitializeRequest['params'],
    principal: string | undefined,
    waits: WaitBudget
  ): Promise<void> {
    const record = newRecord(sessionId, params, principal, this.#context);
    const askedAt = performance.now();
    await this.#storeAccess.create(record, waits);
    this.#record = record;
    this.freshness?.confirm(askedAt);
  }

  /** As far as this pod knows. */
  isSubscribedTo(uri: string): boolean {
    return this.#server.isSubscribedTo(uri);
  }

  /** Why the client may not subscribe to a resource; undefined if it may. */
  subscriptionProblem(uri: string): string | undefined {
    const problem = this.#server.subscriptionProblem(uri);
    return problem && `Too many subscriptions: ${problem}`;
  }

  /** Consumes the server's answer to a replayed message. It is not sent to a client. */
  consumeReplayAnswer(message: JSONRPCMessage): boolean {
    return this.#server.consumeAnswer(message);
  }

  /** Whether the server on this pod is up to date and this record contains no changes. */
  knows(record: SessionData): boolean {
    return record === this.#record && !this.#recovery && !this.#server.replaying && !this.#changes?.hasUnsaved;
  }

  /**
   * Updates the server on this pod: the first time with the whole record, later with the changes of other pods.
   * Concurrent exchanges share one recovery.
   */
  async update(record: SessionData, extra: MessageExtraInfo, waits?: WaitBudget): Promise<void> {
    if (!this.#record) {
      this.#record = record;
      this.#recovery = this.#recover(record, extra, waits).finally(() => (this.#recovery = undefined));
    }
    if (this.#recovery) await this.#recovery;
    // Exchanges that waited for the same recovery may have read the record before and after a change.
    const isNews = record !== this.#record && !isOlder(record, this.#record);
    if (isNews) this.#server.replayHandshakeEnd((this.#record = record), extra);
    // A record that was read before this pod's changes were saved does not contain them.
    if (this.#changes?.hasUnsaved) await this.#changes.saveUnsaved(waits);
    else if (isNews || this.#server.replaying)
      await this.#server.replayChanges(this.#record?.metadata?.mcp ?? {}, extra);
  }

  /** Settles after the recovery of the server on this pod. */
  async recovered(): Promise<void> {
    await this.#recovery;
  }

  /**
   * Records that the server on this pod receives the end of the handshake from another pod. @returns false if it
   * already has it
   */
  acceptInitialized(): boolean {
    if (this.#server.initialized) return false;
    return (this.#server.initialized = true);
  }

  /** Stores that the handshake is complete, before the server gets the client's messages. */
  async recordInitialized(waits?: WaitBudget): Promise<void> {
    const record = this.#record;
    if (!record) return;
    const known = this.#server.initialized;
    this.#server.initialized = true;
    if (record.initialized) return;
    try {
      const { serverName } = this.#server;
      const patch: SessionPatch = { initialized: true, ...(serverName !== undefined && { serverName }) };
      await this.#storeAccess.patch(record.sessionId, patch, waits);
    } catch (error) {
      // The client sends it again, maybe to another pod. That pod then informs this one.
      this.#server.initialized = known;
      throw error;
    }
    // Meanwhile a newer record may have been read.
    if (this.#record === record) this.#record = { ...record, initialized: true };
  }

  /** Returns what to store after the server has accepted this request and before the client gets the answer. */
  onresult(
    request: JSONRPCRequest,
    waits?: WaitBudget
  ): ((result: Record<string, unknown>) => Promise<void>) | undefined {
    const params = request.params ?? {};
    const { uri } = params;
    switch (request.method) {
      case 'initialize':
        return result => this.#saveNegotiated(result, waits);
      case 'logging/setLevel':
        // The SDK's servers refuse a level or a URI that is not a string, but the application may have its own handler.
        return typeof params.level === 'string'
          ? () => this.#saveLogLevel(params.level as LoggingLevel, waits)
          : undefined;
      case 'resources/subscribe':
        return typeof uri === 'string' ? () => this.#saveSubscription(uri, waits) : undefined;
      case 'resources/unsubscribe':
        return typeof uri === 'string' ? () => this.#saveUnsubscription(uri, waits) : undefined;
      default:
        return undefined;
    }
  }

  async #recover(record: SessionData, extra: MessageExtraInfo, waits: WaitBudget | undefined): Promise<void> {
    const startedAt = performance.now();
    // This pod subscribes to the other pods before the replay. Their messages are then handled after the replay.
    const listening = this.#otherPods.join(record.sessionId, waits).then(() => this.#readAgain(record, waits));
    await this.#server.replayAll(record, extra);
    reportOtherServer(this.#context, record, this.#server.serverName);
    const current = await listening;
    if (!current) return this.#context.onEnded('missing');
    if (current !== record && !isOlder(current, record)) {
      this.#record = current;
      this.#server.replayHandshakeEnd(current, extra);
      await this.#server.replayChanges(current.metadata?.mcp ?? {}, extra);
    }
    const { events, isMadeByApplication, onsessionrecovered } = this.#context.options;
    events.recovered(record, startedAt);
    if (isMadeByApplication) noteRecovery(record.sessionId, this.#context, events);
    try {
      await onsessionrecovered?.(record.sessionId);
    } catch (error) {
      // The callback only informs the application; its failure must not fail the client's request.
      this.#context.report(error as Error);
    }
  }

  /** Messages that other pods sent before the subscription are lost: a change of the session, or its end. */
  async #readAgain(record: SessionData, waits: WaitBudget | undefined): Promise<SessionData | null> {
    try {
      return await this.#storeAccess.touch(record.sessionId, record, waits);
    } catch (error) {
      this.#context.report(error as Error);
      return record;
    }
  }

  async #saveNegotiated(result: Record<string, unknown>, waits: WaitBudget | undefined): Promise<void> {
    this.#server.noteHandshakeResult(result);
    const { protocolVersion } = result;
    if (typeof protocolVersion !== 'string') return;
    if (protocolVersion !== this.#record?.metadata?.mcp?.protocolVersion) await this.#save({ protocolVersion }, waits);
  }

  async #saveLogLevel(logLevel: LoggingLevel, waits: WaitBudget | undefined): Promise<void> {
    this.#server.noteLogLevel(logLevel);
    await this.#save({ logLevel }, waits);
  }

  async #saveSubscription(uri: string, waits: WaitBudget | undefined): Promise<void> {
    // Other subscriptions may have been accepted since this one was admitted.
    const problem = this.#server.subscriptionProblem(uri);
    if (problem !== undefined) {
      const session = fingerprint(this.#record?.sessionId ?? '');
      return this.#context.report(new Error(`Too many subscriptions of session ${session}: ${problem}`));
    }
    this.#server.noteSubscribed(uri);
    await this.#save({ subscribe: uri }, waits);
  }

  async #saveUnsubscription(uri: string, waits: WaitBudget | undefined): Promise<void> {
    this.#server.noteUnsubscribed(uri);
    await this.#save({ unsubscribe: uri }, waits);
  }

  /** The client's request has succeeded and its answer waits: a failure of the store must not hold it back. */
  async #save(patch: SessionPatch, waits: WaitBudget | undefined): Promise<void> {
    const sessionId = this.#record?.sessionId;
    if (sessionId === undefined) return;
    this.#changes ??= new RecordChanges(sessionId, this.#storeAccess, this.#context, this.#otherPods);
    await this.#changes.save(patch, waits);
  }
}
