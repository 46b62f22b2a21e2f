import type { JSONRPCMessage, MessageExtraInfo, RequestId, Transport, TransportSendOptions } from '../sdkTypes.js';
import type { Dialect } from '../engine/dialect.js';
import { Engine } from '../engine/engine.js';
import { ResolvedOptions } from '../engine/options.js';
import type { TransportOptions } from '../engine/transportOptions.js';
import type { SessionStorageMode } from '../ports/sessionStore.js';
import { warnOf } from '../report.js';

/**
 * The key of a transport's engine. A property, not a `#private` field: instrumentation libraries wrap transports with
 * `new Proxy(transport, …)` or `Object.create(transport)`, and such an object does not have the private fields of the
 * transport.
 */
const ENGINE = Symbol('engine');

/** The engine of a transport, for the adapters and the session host. Not exported from the package. */
export let engineOf: (transport: HttpServerTransport) => Engine;

/** The members that all public transports share: everything except `handleRequest`. */
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
  protected constructor(options: TransportOptions, dialect: Dialect) {
    const resolved = options instanceof ResolvedOptions ? options : new ResolvedOptions(options, dialect);
    const { events } = resolved;
    dialect.checkInstallation(options.onLog && ((code, message) => void events.warning(code, message)));
    if (resolved !== options) {
      resolved.isMadeByApplication = true;
      // A handler on the same store must not close the bus that this transport uses.
      resolved.retainBus();
    }
    // Not enumerable, so that logging or copying a transport does not reach the sessions of the engine.
    const engine = new Engine(resolved);
    if (resolved.isMadeByApplication) {
      if (options.onLog) engine.warn = error => events.error(error);
      else if (resolved.mode === 'external') engine.warn = error => warnOf(error, 'transport');
    }
    Object.defineProperty(this, ENGINE, { value: engine });
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

  /**
   * Receives every error that is not thrown to a caller. Set it before `connect`, which adds the server's `onerror`.
   * @default external mode: `process.emitWarning`, at most once a minute for each code, for errors of this package
   */
  get onerror(): ((error: Error) => void) | undefined {
    return this[ENGINE].onerror;
  }

  set onerror(handler: ((error: Error) => void) | undefined) {
    const engine = this[ENGINE];
    // The SDK's `connect` sets it once. If it is set twice, the application has set it.
    if (engine.hasOnerror) engine.warn = undefined;
    engine.hasOnerror = true;
    engine.onerror = handler;
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
