import {
  type InitializeRequest,
  type JSONRPCMessage,
  LATEST_PROTOCOL_VERSION,
  type LoggingLevel,
  type MessageExtraInfo
} from 'mcp-sdk-upstream/types.js';
import { SessionRecoveryError } from '../../errors.js';
import { withDeadline } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import { isResponse } from '../http/jsonRpc.js';

/** The extra info of messages that the client sent on another pod, or before a restart, and that are replayed here. */
export interface ReplayedMessageExtraInfo extends MessageExtraInfo {
  replayed?: true;
}

/** How long a server may take to answer one replayed message; it is served all the same afterwards. */
const ANSWER_TIMEOUT_MS = 10_000;

/** Whose server is told, and who is told what fails. */
export interface ReplayHost {
  readonly onmessage?: ((message: JSONRPCMessage, extra?: ReplayedMessageExtraInfo) => void) | undefined;
  readonly report: ReportError;
}

/** No client can know it, so no client's request has an id that begins with it. Made at first use: workerd has nothing random on import. */
let prefix: string | undefined;
let count = 0;

/** Hands a server what its client has said before, exactly as the client said it, and keeps the answers. */
export class Replay {
  readonly #host: ReplayHost;
  /** Absent while no answer is awaited. */
  #waiting: Map<string, (answer: JSONRPCMessage) => void> | undefined;

  constructor(host: ReplayHost) {
    this.#host = host;
  }

  /** Whether this is the answer to a replayed message, which no client waits for. */
  takesAnswer(message: JSONRPCMessage): boolean {
    if (!this.#waiting || !isResponse(message) || message.id === undefined) return false;
    const settle = this.#waiting.get(String(message.id));
    settle?.(message);
    return settle !== undefined;
  }

  /** The handshake, with the version that was negotiated, so that it is negotiated again. */
  async handshake(
    params: InitializeRequest['params'] | undefined,
    protocolVersion: string | undefined,
    initialized: boolean,
    extra: MessageExtraInfo
  ): Promise<void> {
    if (params) {
      const version = protocolVersion ?? params.protocolVersion ?? LATEST_PROTOCOL_VERSION;
      await this.#request('initialize', { ...params, protocolVersion: version }, extra);
    }
    if (initialized) this.initialized(extra);
  }

  /** The end of the handshake. */
  initialized(extra: MessageExtraInfo): void {
    this.#host.onmessage?.({ jsonrpc: '2.0', method: 'notifications/initialized' }, { ...extra, replayed: true });
  }

  setLevel(level: LoggingLevel, extra: MessageExtraInfo): Promise<void> {
    return this.#request('logging/setLevel', { level }, extra);
  }

  subscribe(uri: string, extra: MessageExtraInfo): Promise<void> {
    return this.#request('resources/subscribe', { uri }, extra);
  }

  unsubscribe(uri: string, extra: MessageExtraInfo): Promise<void> {
    return this.#request('resources/unsubscribe', { uri }, extra);
  }

  /** Settles when the server has answered; a refusal is reported, because the server took it the first time. */
  async #request(method: string, params: Record<string, unknown>, extra: MessageExtraInfo): Promise<void> {
    prefix ??= `replay-${globalThis.crypto.randomUUID()}-`;
    const id = prefix + String(++count);
    const waiting = (this.#waiting ??= new Map());
    try {
      const answer = await withDeadline(
        () =>
          new Promise<JSONRPCMessage>(resolve => {
            waiting.set(id, resolve);
            this.#host.onmessage?.({ jsonrpc: '2.0', id, method, params }, { ...extra, replayed: true });
          }),
        ANSWER_TIMEOUT_MS,
        () => new SessionRecoveryError(`The server did not answer the replayed ${method}`)
      );
      if ('error' in answer) {
        this.#host.report(
          new SessionRecoveryError(`The server refused the replayed ${method}: ${answer.error.message}`)
        );
      }
    } catch (error) {
      this.#host.report(error as Error);
    } finally {
      waiting.delete(id);
      if (waiting.size === 0 && this.#waiting === waiting) this.#waiting = undefined;
    }
  }
}
