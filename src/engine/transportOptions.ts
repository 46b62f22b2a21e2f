import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import type { WebStandardStreamableHTTPServerTransportOptions as UpstreamOptions } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { SessionBus } from '../ports/sessionBus.js';
import type { SessionStorageMode, SessionStore } from '../ports/sessionStore.js';

/** The options of the SDK's transports, and what this package adds. */
export interface TransportOptions extends UpstreamOptions {
  /**
   * Makes the id of a session: unguessable, and in external mode 1 to 256 visible ASCII characters.
   * @default `crypto.randomUUID` in external mode and for `createMcpHandler`; else none: the transport has no sessions
   */
  sessionIdGenerator?: () => string;
  /**
   * Where the session lives. `'memory'`: in this process, as with the SDK. `'external'`: in `sessionStore`,
   * so that any pod serves it.
   * @default 'external' when `sessionStore` is given, else 'memory'; an explicit `'memory'` wins over a store
   */
  sessionStorageMode?: SessionStorageMode;
  /** The store that all pods share. Required in external mode. */
  sessionStore?: SessionStore;
  /**
   * Carries messages between the pods that serve a session.
   * @default the session store's own, where it brings one
   */
  sessionBus?: SessionBus;
  /**
   * What a second GET stream of a session does. `'takeover'`: it replaces the first, whichever pod holds that, because
   * a slot that outlives its client locks the client out. `'reject'`: it is answered 409, as by the SDK.
   * @default 'takeover' in external mode, 'reject' in memory mode
   */
  standaloneStream?: 'takeover' | 'reject';
  /**
   * How long a pod may be silent, in milliseconds, before a client that has resumed one of its streams elsewhere is
   * told that the server is gone.
   * @default 5000
   */
  leaseMs?: number;
  /**
   * How long one call to the session store or the event store may take, in milliseconds. A session store that
   * takes longer counts as unavailable (503); an event that takes longer goes out without an id, and a replay
   * that gives nothing for ten times as long fails.
   * The calls that one request waits for before the server gets it share this time: a backend that stops answering delays a
   * client by it once.
   * @default 2000
   */
  storeTimeoutMs?: number;
  /**
   * Called once per transport when a session that began on another pod, or before a restart, has been
   * rebuilt here; `onsessioninitialized` is not called then. What it throws goes to `onerror`: the session is served.
   */
  onsessionrecovered?: (sessionId: string) => void | Promise<void>;
  /**
   * Names the party behind an authenticated request. A session opened with a principal is found by that
   * principal alone; for others it does not exist (404). Must be stable across token refreshes. Where it
   * throws, the request is answered 500 without the error's text, which goes to `onerror`.
   * @default issuer and subject (`extra.iss`, `extra.sub`) where the verifier gives a subject, else `clientId`
   */
  principalOf?: (authInfo: AuthInfo) => string | undefined;
  /**
   * In external mode: how long this pod may take a session for alive without asking, in milliseconds, after the store
   * has said so. Meanwhile requests do not wait for the store: it is asked in the background, which also refreshes the
   * time to live. A session that ends elsewhere ends here when the bus tells, or, where its message is lost, at the next
   * answer of the store; while the store is away sessions are served so much longer. Less than the store's time to live.
   * @default 0: every request waits for the store
   */
  sessionFreshnessMs?: number;
  /** What `sessionState` may keep for one session, in bytes of JSON. @default 65536 */
  maxStateBytes?: number;
  /**
   * The name of this MCP server among those that share the store, 1 to 64 letters, digits and `._-`. A session belongs to
   * the namespace in which it was opened: in every other one it does not exist (404), and `notify` does not reach it.
   * Without a namespace, here or in the session's record, nothing is compared. External mode only.
   * @default none: all servers on one store serve each other's sessions
   */
  namespace?: string;
  /**
   * How large a client's handshake may be, in bytes of JSON: the `params` of its `initialize` request, which are kept with
   * the session. A larger one is answered 413. External mode only.
   * @default 65536
   */
  maxHandshakeBytes?: number;
  /**
   * How much the subscriptions of one session may take, in bytes of their URIs. A `resources/subscribe` beyond it, or beyond
   * `MAX_SUBSCRIPTIONS`, is answered with a JSON-RPC error (-32602). External mode only.
   * @default 65536
   */
  maxSubscriptionBytes?: number;
  /**
   * How large a message between pods may be, in bytes. A larger one of a client is answered 413; a larger one of a server is
   * not delivered to another pod, and reported. Redis disconnects a subscriber that has 8 MB waiting for a minute.
   * External mode only.
   * @default 1048576 (1 MiB)
   */
  maxBusMessageBytes?: number;
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
  maxBusMessageBytes: true
};
