import type { JSONRPCMessage, LoggingLevel, MessageExtraInfo } from '../../sdkTypes.js';
import { withDeadline } from '../../deadline.js';
import { SessionRecoveryError } from '../../errors.js';
import type { McpSessionState, SessionData } from '../../ports/sessionStore.js';
import type { SessionContext } from '../context.js';
import { isResponse } from '../http/jsonRpc.js';
import { LATEST_PROTOCOL_VERSION } from '../http/protocolVersion.js';
import { serverNameOf } from './otherServer.js';
import { subscriptionProblem } from './subscriptionLimits.js';

/** The extra info of replayed messages: the client sent them to another pod, or before a restart. */
export interface ReplayedMessageExtraInfo extends MessageExtraInfo {
  /** True for replayed messages; absent for messages that the client has just sent. */
  replayed?: true;
}

/** How long a server may take to answer one replayed message. After that the session is served without this answer. */
const ANSWER_TIMEOUT_MS = 10_000;

/**
 * Clients do not know it, so the id of a client's request never begins with it. Made on first use: workerd does not
 * allow random values during import.
 */
let prefix: string | undefined;
let count = 0;

/**
 * What the server on this pod knows about the client: from the client, from another pod, or by replay. It replays
 * messages exactly as the client sent them, and consumes the answers.
 */
export class HandshakeReplay {
  readonly #context: SessionContext;
  /** Whether the server knows that the handshake is complete. */
  #initialized = false;
  #serverName: string | undefined;
  #logLevel: string | undefined;
  #subscriptions: Set<string> | undefined;
  /** The changes that are being replayed. The server has accepted them after it. */
  #replay: Promise<unknown> | undefined;
  /** Undefined if no answer is awaited. */
  #waiting: Map<string, (answer: JSONRPCMessage | undefined) => void> | undefined;

  constructor(context: SessionContext) {
    this.#context = context;
  }

  get initialized(): boolean {
    return this.#initialized;
  }

  set initialized(initialized: boolean) {
    this.#initialized = initialized;
  }

  isSubscribedTo(uri: string): boolean {
    return this.#subscriptions?.has(uri) ?? false;
  }

  /** Why the client may not subscribe to a resource; undefined if it may. */
  subscriptionProblem(uri: string): string | undefined {
    return subscriptionProblem(this.#subscriptions, uri, this.#context.options.maxSubscriptionBytes);
  }

  /** The server's name from its answer to `initialize`. */
  get serverName(): string | undefined {
    return this.#serverName;
  }

  /** @param result - the result of `initialize` */
  noteHandshakeResult(result: unknown): void {
    this.#serverName = serverNameOf(result);
  }

  noteLogLevel(level: string): void {
    this.#logLevel = level;
  }

  noteSubscribed(uri: string): void {
    (this.#subscriptions ??= new Set()).add(uri);
  }

  noteUnsubscribed(uri: string): void {
    this.#subscriptions?.delete(uri);
  }

  /** Consumes the answer to a replayed message: no client waits for it. */
  consumeAnswer(message: JSONRPCMessage): boolean {
    if (!this.#waiting || !isResponse(message) || message.id === undefined) return false;
    const settle = this.#waiting.get(String(message.id));
    settle?.(message);
    return settle !== undefined;
  }

  /** The server is closed, so it answers nothing more. */
  close(): void {
    for (const settle of this.#waiting?.values() ?? []) settle(undefined);
  }

  /** Replays the whole record to a new server. The server negotiates the same protocol version again. */
  async replayAll({ initialized, metadata }: SessionData, extra: MessageExtraInfo): Promise<void> {
    const { initialize, protocolVersion, logLevel, subscriptions = [] } = metadata?.mcp ?? {};
    this.#initialized = initialized;
    if (initialize) {
      const version = protocolVersion ?? initialize.protocolVersion ?? LATEST_PROTOCOL_VERSION;
      const answer = await this.#request('initialize', { ...initialize, protocolVersion: version }, extra);
      this.noteHandshakeResult(answer && 'result' in answer ? answer.result : undefined);
    }
    if (initialized) this.#replayInitialized(extra);
    await this.replayChanges({ logLevel, subscriptions }, extra);
  }

  /**
   * Replays the end of the handshake if the server does not know it: the message of the pod that received it may be
   * lost.
   */
  replayHandshakeEnd({ initialized }: SessionData, extra: MessageExtraInfo): void {
    if (!initialized || this.#initialized) return;
    this.#initialized = true;
    this.#replayInitialized(extra);
  }

  /** Whether the server has not answered all replayed changes yet. */
  get replaying(): boolean {
    return this.#replay !== undefined;
  }

  /**
   * Replays the log level and the subscriptions if the record differs from what the server knows. Settles after the
   * answers, also to changes that were replayed before.
   */
  async replayChanges(state: McpSessionState, extra: MessageExtraInfo): Promise<void> {
    const replay = Promise.all([this.#replay, ...this.#changes(state, extra)]);
    this.#replay = replay;
    await replay;
    if (this.#replay === replay) this.#replay = undefined;
  }

  #changes({ logLevel, subscriptions = [] }: McpSessionState, extra: MessageExtraInfo): Promise<unknown>[] {
    const replayed: Promise<unknown>[] = [];
    if (logLevel !== undefined && logLevel !== this.#logLevel) {
      this.#logLevel = logLevel;
      replayed.push(this.#setLevel(logLevel, extra));
    }
    if (subscriptions.length > 0 || this.#subscriptions?.size) {
      const known = (this.#subscriptions ??= new Set());
      for (const uri of subscriptions) {
        if (known.has(uri)) continue;
        known.add(uri);
        replayed.push(this.#request('resources/subscribe', { uri }, extra));
      }
      for (const uri of known) {
        if (subscriptions.includes(uri)) continue;
        known.delete(uri);
        replayed.push(this.#request('resources/unsubscribe', { uri }, extra));
      }
    }
    return replayed;
  }

  #setLevel(level: LoggingLevel, extra: MessageExtraInfo): Promise<unknown> {
    return this.#request('logging/setLevel', { level }, extra);
  }

  #replayInitialized(extra: MessageExtraInfo): void {
    this.#dispatch({ jsonrpc: '2.0', method: 'notifications/initialized' }, extra);
  }

  #dispatch(message: JSONRPCMessage, extra: MessageExtraInfo): void {
    const replayed: ReplayedMessageExtraInfo = { ...extra, replayed: true };
    this.#context.dispatch(message, replayed);
  }

  /**
   * Settles after the server's answer. A refusal is reported, because the server accepted the same message before.
   * @returns the answer, if there is one
   */
  async #request(
    method: string,
    params: Record<string, unknown>,
    extra: MessageExtraInfo
  ): Promise<JSONRPCMessage | undefined> {
    if (this.#context.closed) return undefined;
    prefix ??= `replay-${globalThis.crypto.randomUUID()}-`;
    const id = prefix + String(++count);
    const waiting = (this.#waiting ??= new Map());
    try {
      const answer = await withDeadline(
        () =>
          new Promise<JSONRPCMessage | undefined>(resolve => {
            waiting.set(id, resolve);
            this.#dispatch({ jsonrpc: '2.0', id, method, params }, extra);
          }),
        ANSWER_TIMEOUT_MS,
        () => new SessionRecoveryError(`The server did not answer the replayed ${method}`)
      );
      if (answer && 'error' in answer) {
        this.#context.report(
          new SessionRecoveryError(`The server refused the replayed ${method}: ${answer.error.message}`)
        );
      }
      return answer;
    } catch (error) {
      this.#context.report(error as Error);
      return undefined;
    } finally {
      waiting.delete(id);
      if (waiting.size === 0 && this.#waiting === waiting) this.#waiting = undefined;
    }
  }
}
