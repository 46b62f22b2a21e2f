import type { Transport, TransportSendOptions } from 'mcp-sdk-upstream/shared/transport.js';
import type { JSONRPCMessage, MessageExtraInfo, RequestId } from 'mcp-sdk-upstream/types.js';
import { Engine } from '../engine/engine.js';
import { ResolvedOptions } from '../engine/options.js';
import type { TransportOptions } from '../engine/transportOptions.js';
import { UnsupportedRuntimeError } from '../errors.js';
import { checkInstallation } from '../installation.js';
import type { SessionStorageMode } from '../ports/sessionStore.js';

/**
 * The key of a transport's engine. A property, not a `#private` field: instrumentation libraries wrap transports with
 * `new Proxy(transport, …)` or `Object.create(transport)`, and such an object does not have the private fields of the
 * transport.
 */
const ENGINE = Symbol('engine');

/** The engine of a transport, for the adapters and the session host. Not exported from the package. */
export let engineOf: (transport: HttpServerTransport) => Engine;

/** The members that both public transports share: everything except `handleRequest`. */
export abstract class HttpServerTransport implements Transport {
  declare private readonly [ENGINE]: Engine;

  static {
    engineOf = transport => transport[ENGINE];
  }

  /**
   * @throws InvalidOptionError if an option has an invalid value
   * @throws UnsupportedRuntimeError on a Node that is too old
   */
  // The session host passes options that it has resolved once for all its sessions.
  constructor(options: TransportOptions = {}) {
    checkInstallation();
    const resolved = options instanceof ResolvedOptions ? options : new ResolvedOptions(options);
    if (resolved !== options) {
      resolved.isHandWired = true;
      // A handler on the same store must not close the bus that this transport uses.
      resolved.retainBus();
    }
    // Not enumerable, so that logging or copying a transport does not reach the sessions of the engine.
    Object.defineProperty(this, ENGINE, { value: new Engine(resolved) });
  }

  /**
   * The id of the session that this transport serves. Set by `initialize`, or by the first request of a recovered
   * session.
   */
  get sessionId(): string | undefined {
    return this[ENGINE].servedSessionId;
  }

  set sessionId(sessionId: string | undefined) {
    this[ENGINE].sessionId = sessionId;
  }

  /** Where the session lives. */
  get sessionStorageMode(): SessionStorageMode {
    return this[ENGINE].options.mode;
  }

  /** Whether the session lives in a store that other pods share. */
  get isUsingExternalSessionStore(): boolean {
    return this[ENGINE].options.mode === 'external';
  }

  get onclose(): (() => void) | undefined {
    return this[ENGINE].onclose;
  }

  set onclose(handler: (() => void) | undefined) {
    this[ENGINE].onclose = handler;
  }

  get onerror(): ((error: Error) => void) | undefined {
    return this[ENGINE].onerror;
  }

  set onerror(handler: ((error: Error) => void) | undefined) {
    this[ENGINE].onerror = handler;
  }

  get onmessage(): ((message: JSONRPCMessage, extra?: MessageExtraInfo) => void) | undefined {
    return this[ENGINE].onmessage;
  }

  set onmessage(handler: ((message: JSONRPCMessage, extra?: MessageExtraInfo) => void) | undefined) {
    this[ENGINE].onmessage = handler;
  }

  /** Called by `connect`. @throws Error if called twice */
  start(): Promise<void> {
    return this[ENGINE].start();
  }

  /** Ends all streams and forgets the session on this pod. In external mode the session stays in the store. */
  close(): Promise<void> {
    return this[ENGINE].close();
  }

  /**
   * Ends the session for every pod, as a client's DELETE does, but does not call `onsessionclosed`.
   * @throws SessionStoreUnavailableError if the store did not confirm; the session then continues
   */
  terminateSession(): Promise<void> {
    return this[ENGINE].terminate();
  }

  /**
   * Only servers of version 2 of the SDK call this, in `connect`.
   * @throws UnsupportedRuntimeError always. Such a server would seem to work, but its scope checks would not be
   *   enforced
   */
  setSupportedProtocolVersions(): never {
    throw new UnsupportedRuntimeError(
      'mcp-sdk-anypod does not support servers of version 2 of the SDK (@modelcontextprotocol/server): ' +
        'connect a server of @modelcontextprotocol/sdk 1.x'
    );
  }

  /** @throws Error if the message answers, or relates to, a request that is not open */
  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    return this[ENGINE].send(message, options);
  }

  /** Closes the stream of a request so that the client polls: the client resumes after the retry interval. */
  closeSSEStream(requestId: RequestId): void {
    this[ENGINE].closeSSEStream(requestId);
  }

  /** Closes the stream of the client's GET so that it reconnects. */
  closeStandaloneSSEStream(): void {
    this[ENGINE].closeStandaloneSSEStream();
  }
}
