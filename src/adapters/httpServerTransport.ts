import type { Transport, TransportSendOptions } from 'mcp-sdk-upstream/shared/transport.js';
import type { JSONRPCMessage, MessageExtraInfo, RequestId } from 'mcp-sdk-upstream/types.js';
import { Engine } from '../engine/engine.js';
import { ResolvedOptions } from '../engine/options.js';
import type { TransportOptions } from '../engine/transportOptions.js';
import { UnsupportedRuntimeError } from '../errors.js';
import { checkInstallation } from '../installation.js';
import type { SessionStorageMode } from '../ports/sessionStore.js';

/**
 * Where a transport has its engine. A property and not a `#private` field: instrumentation libraries wrap transports with
 * `new Proxy(transport, …)` or `Object.create(transport)`, and such an object has no private fields of the transport.
 */
const ENGINE = Symbol('engine');

/** The engine behind a transport, for the adapters and the pod's host. Not exported from the package. */
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
  // The pod's host hands in options that it has resolved once for all its sessions.
  constructor(options: TransportOptions = {}) {
    checkInstallation();
    const resolved = options instanceof ResolvedOptions ? options : new ResolvedOptions(options);
    if (resolved !== options) {
      resolved.isHandWired = true;
      // A handler on the same store must not close the bus that this transport uses.
      resolved.retainBus();
    }
    // Not enumerable: what logs or copies a transport does not meet the sessions of the engine.
    Object.defineProperty(this, ENGINE, { value: new Engine(resolved) });
  }

  /** The session that this transport serves: set by `initialize`, or by the first request of a recovered session. */
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

  /** Called by `connect`. @throws Error when called twice */
  start(): Promise<void> {
    return this[ENGINE].start();
  }

  /** Ends all streams and forgets the session on this pod. In external mode the session itself lives on. */
  close(): Promise<void> {
    return this[ENGINE].close();
  }

  /**
   * Ends the session for every pod, as a client's DELETE does but without `onsessionclosed`.
   * @throws SessionStoreUnavailableError when the store did not confirm; the session then lives on
   */
  terminateSession(): Promise<void> {
    return this[ENGINE].terminate();
  }

  /**
   * Called by `connect` of servers of version 2 of the SDK, and by no others.
   * @throws UnsupportedRuntimeError always. Such a server would look served, and its scope checks would not be enforced
   */
  setSupportedProtocolVersions(): never {
    throw new UnsupportedRuntimeError(
      'mcp-sdk-anypod does not support servers of version 2 of the SDK (@modelcontextprotocol/server): ' +
        'connect a server of @modelcontextprotocol/sdk 1.x'
    );
  }

  /** @throws Error when the message answers, or relates to, a request that is not open */
  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    return this[ENGINE].send(message, options);
  }

  /** Closes the stream of a request so that the client polls: it resumes after the retry interval. */
  closeSSEStream(requestId: RequestId): void {
    this[ENGINE].closeSSEStream(requestId);
  }

  /** Closes the stream of the client's GET so that it reconnects. */
  closeStandaloneSSEStream(): void {
    this[ENGINE].closeStandaloneSSEStream();
  }
}
