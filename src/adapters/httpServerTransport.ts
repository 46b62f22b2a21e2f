import type { Transport, TransportSendOptions } from 'mcp-sdk-upstream/shared/transport.js';
import type { JSONRPCMessage, MessageExtraInfo, RequestId } from 'mcp-sdk-upstream/types.js';
import { Engine } from '../engine/engine.js';
import { ResolvedOptions, type TransportOptions } from '../engine/options.js';
import { checkInstallation } from '../installation.js';
import type { SessionStorageMode } from '../ports/sessionStore.js';

/** The engine behind a transport, for the adapters and the pod's host. Not exported from the package. */
export let engineOf: (transport: HttpServerTransport) => Engine;

/** What both public transports share: everything but `handleRequest`. */
export abstract class HttpServerTransport implements Transport {
  readonly #engine: Engine;

  static {
    engineOf = transport => transport.#engine;
  }

  /**
   * @throws InvalidOptionError where an option has a value that it cannot have
   * @throws UnsupportedRuntimeError on a Node that is too old
   */
  // The pod's host hands in options that it has resolved once for all its sessions.
  constructor(options: TransportOptions = {}) {
    checkInstallation();
    const resolved = options instanceof ResolvedOptions ? options : new ResolvedOptions(options);
    // Wired by hand: a handler on the same store must not close the bus under it.
    if (resolved !== options) resolved.retainBus();
    this.#engine = new Engine(resolved);
  }

  /** The session that this transport serves: set by `initialize`, or by the first request of a recovered session. */
  get sessionId(): string | undefined {
    return this.#engine.servedSessionId;
  }

  set sessionId(sessionId: string | undefined) {
    this.#engine.sessionId = sessionId;
  }

  /** Where the session lives. */
  get sessionStorageMode(): SessionStorageMode {
    return this.#engine.options.mode;
  }

  /** Whether the session lives in a store that other pods share. */
  get isUsingExternalSessionStore(): boolean {
    return this.#engine.options.mode === 'external';
  }

  get onclose(): (() => void) | undefined {
    return this.#engine.onclose;
  }

  set onclose(handler: (() => void) | undefined) {
    this.#engine.onclose = handler;
  }

  get onerror(): ((error: Error) => void) | undefined {
    return this.#engine.onerror;
  }

  set onerror(handler: ((error: Error) => void) | undefined) {
    this.#engine.onerror = handler;
  }

  get onmessage(): ((message: JSONRPCMessage, extra?: MessageExtraInfo) => void) | undefined {
    return this.#engine.onmessage;
  }

  set onmessage(handler: ((message: JSONRPCMessage, extra?: MessageExtraInfo) => void) | undefined) {
    this.#engine.onmessage = handler;
  }

  /** Called by `connect`. @throws Error when called twice */
  start(): Promise<void> {
    return this.#engine.start();
  }

  /** Ends all streams and forgets the session on this pod. In external mode the session itself lives on. */
  close(): Promise<void> {
    return this.#engine.close();
  }

  /**
   * Ends the session for every pod, as a client's DELETE does but without `onsessionclosed`.
   * @throws SessionStoreUnavailableError when the store did not confirm; the session then lives on
   */
  terminateSession(): Promise<void> {
    return this.#engine.terminate();
  }

  /** @throws Error when the message answers, or relates to, a request that is not open */
  send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    return this.#engine.send(message, options);
  }

  /** Closes the stream of a request so that the client polls: it resumes after the retry interval. */
  closeSSEStream(requestId: RequestId): void {
    this.#engine.closeSSEStream(requestId);
  }

  /** Closes the stream of the client's GET so that it reconnects. */
  closeStandaloneSSEStream(): void {
    this.#engine.closeStandaloneSSEStream();
  }
}
