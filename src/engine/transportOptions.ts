import type { AuthInfo, WebStandardStreamableHTTPServerTransportOptions as UpstreamOptions } from '../sdkTypes.js';
import type { OnLogEvent } from '../events/podEvents.js';
import type { SessionBus } from '../ports/sessionBus.js';
import type { SessionStorageMode, SessionStore } from '../ports/sessionStore.js';

/** The options of the SDK's transports, and the options that this package adds. */
export interface TransportOptions extends UpstreamOptions {
  /**
   * Returns the id of a new session. It must be unguessable, and in external mode 1 to 256 visible ASCII characters.
   * @default `crypto.randomUUID` in external mode and for `createMcpHandler`; otherwise the transport has no sessions
   */
  sessionIdGenerator?: () => string;
  /**
   * Where the session is kept. `'memory'`: in this process, as with the SDK. `'external'`: in `sessionStore`, so that
   * any pod can serve it.
   * @default 'external' if `sessionStore` is given, else 'memory'; an explicit `'memory'` overrides a store
   */
  sessionStorageMode?: SessionStorageMode;
  /** The store that all pods share. Required in external mode. */
  sessionStore?: SessionStore;
  /**
   * Carries messages between the pods that serve a session.
   * @default the session store's own bus, if it has one
   */
  sessionBus?: SessionBus;
  /**
   * What a second GET stream of a session does. `'takeover'`: it replaces the first stream, on any pod. Otherwise a
   * stream whose client has disconnected unnoticed would lock the client out. `'reject'`: it is answered 409, as by the
   * SDK.
   * @default 'takeover' in external mode, 'reject' in memory mode
   */
  standaloneStream?: 'takeover' | 'reject';
  /**
   * How long a pod may take to answer, in milliseconds, when a client has resumed one of its streams on another pod.
   * After that the client gets an error: the server is gone.
   * @default 5000
   */
  leaseMs?: number;
  /**
   * How long one call to the session store or the event store may take, in milliseconds. A session store that
   * takes longer counts as unavailable (503); an event that takes longer is sent without an id, and a replay without
   * progress for ten times as long fails. All calls before the server gets a request share this time: a backend that
   * does not answer delays a client once.
   * @default 2000
   */
  storeTimeoutMs?: number;
  /**
   * Called once per transport after a session that began on another pod, or before a restart, was recovered here;
   * `onsessioninitialized` is not called then. An error that it throws is reported to `onerror`, and the session is
   * served.
   */
  onsessionrecovered?: (sessionId: string) => void | Promise<void>;
  /**
   * Returns the principal of an authenticated request. Only this principal can use a session that it opened; for others
   * the session does not exist (404). Must be stable across token refreshes. If it throws, the request is answered 500
   * without the error's text, and the error is reported to `onerror`.
   * @default issuer and subject (`extra.iss`, `extra.sub`) if the verifier sets a subject, else `clientId`
   */
  principalOf?: (authInfo: AuthInfo) => string | undefined;
  /**
   * In external mode: how long this pod may serve a session without waiting for the store, in milliseconds since the
   * store's last answer. All requests of half of that time share one question in the background, which also refreshes
   * the time to live. If a session ends on another pod, it ends here when the bus message arrives. If the message is
   * lost, it ends here with the next answer of the store; while the store is unavailable, it is served for at most this
   * time. Must be less than the store's time to live.
   * @default 0: every request waits for the store
   */
  sessionFreshnessMs?: number;
  /** Maximum size of one session's `sessionState`, in bytes of JSON. @default 65536 */
  maxStateBytes?: number;
  /**
   * The name of this MCP server among those that share the store, 1 to 64 letters, digits and `._-`. A session belongs
   * to the namespace in which it was opened. In every other one it does not exist (404), and `notify` does not reach
   * it. Without a namespace, here or in the session's record, there is no check. External mode only.
   * @default none: all servers on one store serve each other's sessions
   */
  namespace?: string;
  /**
   * Maximum size of a client's handshake in bytes of JSON: the `params` of its `initialize` request, which are stored
   * with the session. A larger handshake is answered 413. External mode only.
   * @default 65536
   */
  maxHandshakeBytes?: number;
  /**
   * Maximum size of one session's subscriptions, in bytes of their URIs. A `resources/subscribe` beyond it, or beyond
   * `MAX_SUBSCRIPTIONS`, is answered with a JSON-RPC error (-32602). External mode only.
   * @default 65536
   */
  maxSubscriptionBytes?: number;
  /**
   * Maximum size of a message between pods, in bytes. A larger message of a client is answered 413. A larger message of
   * a server is not delivered to another pod, and is reported. Redis disconnects a subscriber that has 8 MB waiting for
   * a minute. External mode only.
   * @default 1048576 (1 MiB)
   */
  maxBusMessageBytes?: number;
  /**
   * Receives what happens to sessions, streams, store, bus and event log, for a logger. It also receives the errors that
   * `onerror` gets, and the warnings that would otherwise be process warnings.
   * @default nothing is logged
   */
  onLog?: OnLogEvent;
}

/** The names of all options of a transport, the SDK's first. The type keeps the list complete. */
export const TRANSPORT_OPTION_NAMES: Readonly<Record<keyof TransportOptions, true>> = {
  sessionIdGenerator: true,
  onsessioninitialized: true,
  onsessionclosed: true,
  enableJsonResponse: true,
  eventStore: true,
  allowedHosts: true,
  allowedOrigins: true,
  enableDnsRebindingProtection: true,
  retryInterval: true,
  keepAliveMs: true,
  maxRequestBodySize: true,
  sessionStorageMode: true,
  sessionStore: true,
  sessionBus: true,
  standaloneStream: true,
  leaseMs: true,
  storeTimeoutMs: true,
  onsessionrecovered: true,
  principalOf: true,
  sessionFreshnessMs: true,
  maxStateBytes: true,
  namespace: true,
  maxHandshakeBytes: true,
  maxSubscriptionBytes: true,
  maxBusMessageBytes: true,
  onLog: true
};
