import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import type {
  EventStore,
  WebStandardStreamableHTTPServerTransportOptions as UpstreamOptions
} from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import { InvalidOptionError } from '../errors.js';
import { SESSION_BUS_METHODS, type SessionBus } from '../ports/sessionBus.js';
import { SESSION_STORE_METHODS, type SessionStorageMode, type SessionStore } from '../ports/sessionStore.js';
import {
  checkFunction,
  checkMethods,
  checkNumber,
  checkOneOf,
  checkOptionNames,
  checkOptionsObject,
  kindOf
} from '../validate.js';
import { TRANSPORT_OPTION_NAMES } from './optionNames.js';
import { DEFAULT_SSE_KEEP_ALIVE_MS } from './streams/sseKeepAlive.js';
import { resolveMaxRequestBodySize } from './http/requestLimits.js';
import { SessionDirectory } from './session/storeAccess.js';
import { defaultPrincipalOf } from './session/principal.js';

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

const DEFAULT_STORE_TIMEOUT_MS = 2000;
const DEFAULT_LEASE_MS = 5000;
const DEFAULT_MAX_STATE_BYTES = 65_536;
const DEFAULT_MAX_HANDSHAKE_BYTES = 65_536;
const DEFAULT_MAX_SUBSCRIPTION_BYTES = 65_536;
const DEFAULT_MAX_BUS_MESSAGE_BYTES = 1_048_576;
const NAMESPACE = /^[A-Za-z0-9._-]{1,64}$/;

/** The options of a transport, checked and with their defaults: made once, shared by all sessions of a host. */
export class ResolvedOptions {
  /** Whether the application made the transport itself, so that nothing but the application keeps it for its session. */
  isHandWired = false;
  readonly mode: SessionStorageMode;
  /** Defined in external mode. */
  readonly directory: SessionDirectory | undefined;
  /** In external mode: for what is not about one session. */
  readonly store: SessionStore | undefined;
  /** In external mode, where there is one. */
  readonly bus: SessionBus | undefined;
  readonly takeover: boolean;
  readonly sessionIdGenerator: (() => string) | undefined;
  readonly enableJsonResponse: boolean;
  readonly eventStore: EventStore | undefined;
  readonly allowedHosts: string[] | undefined;
  readonly allowedOrigins: string[] | undefined;
  readonly enableDnsRebindingProtection: boolean;
  readonly retryInterval: number | undefined;
  readonly keepAliveMs: number;
  readonly maxRequestBodySize: number;
  readonly storeTimeoutMs: number;
  readonly leaseMs: number;
  readonly sessionFreshnessMs: number;
  readonly maxStateBytes: number;
  readonly namespace: string | undefined;
  readonly maxHandshakeBytes: number;
  readonly maxSubscriptionBytes: number;
  readonly maxBusMessageBytes: number;
  readonly principalOf: (authInfo: AuthInfo) => string | undefined;
  readonly onsessioninitialized: TransportOptions['onsessioninitialized'];
  readonly onsessionclosed: TransportOptions['onsessionclosed'];
  readonly onsessionrecovered: TransportOptions['onsessionrecovered'];
  readonly #busOwner: SessionStore | undefined;

  /** @throws InvalidOptionError where an option is of the wrong kind, or external mode has no store */
  constructor(options: TransportOptions) {
    check(options);
    this.mode = options.sessionStorageMode ?? (options.sessionStore ? 'external' : 'memory');
    this.storeTimeoutMs = options.storeTimeoutMs ?? DEFAULT_STORE_TIMEOUT_MS;
    this.leaseMs = options.leaseMs ?? DEFAULT_LEASE_MS;
    this.sessionFreshnessMs = options.sessionFreshnessMs ?? 0;
    this.directory =
      this.mode === 'external' && options.sessionStore
        ? new SessionDirectory(options.sessionStore, this.storeTimeoutMs)
        : undefined;
    this.store = this.directory && options.sessionStore;
    this.bus = this.directory && (options.sessionBus ?? busOf(options.sessionStore));
    this.takeover = (options.standaloneStream ?? (this.directory ? 'takeover' : 'reject')) === 'takeover';
    // A store is pointless without sessions, so external mode has an id generator even where none is given.
    this.sessionIdGenerator =
      options.sessionIdGenerator ?? (this.directory ? () => globalThis.crypto.randomUUID() : undefined);
    this.enableJsonResponse = options.enableJsonResponse ?? false;
    this.eventStore = options.eventStore;

    // As with the SDK, null is none.
    this.allowedHosts = options.allowedHosts ?? undefined;
    this.allowedOrigins = options.allowedOrigins ?? undefined;
    this.enableDnsRebindingProtection = options.enableDnsRebindingProtection ?? false;

    this.retryInterval = options.retryInterval;
    this.keepAliveMs = options.keepAliveMs ?? DEFAULT_SSE_KEEP_ALIVE_MS;
    this.maxRequestBodySize = resolveMaxRequestBodySize(options.maxRequestBodySize);
    this.maxStateBytes = options.maxStateBytes ?? DEFAULT_MAX_STATE_BYTES;
    this.namespace = options.namespace;
    this.maxHandshakeBytes = options.maxHandshakeBytes ?? DEFAULT_MAX_HANDSHAKE_BYTES;
    this.maxSubscriptionBytes = options.maxSubscriptionBytes ?? DEFAULT_MAX_SUBSCRIPTION_BYTES;
    this.maxBusMessageBytes = options.maxBusMessageBytes ?? DEFAULT_MAX_BUS_MESSAGE_BYTES;
    this.principalOf = options.principalOf ?? defaultPrincipalOf;
    this.onsessioninitialized = options.onsessioninitialized;
    this.onsessionclosed = options.onsessionclosed;
    this.onsessionrecovered = options.onsessionrecovered;
    this.#busOwner = options.sessionBus ? undefined : this.store;
  }

  /**
   * Its caller uses the store's own bus from here on, until it calls what is returned; the last one closes the bus. Whoever
   * wires transports by hand closes the store instead.
   */
  retainBus(): () => Promise<void> {
    const bus = this.#busOwner && buses.get(this.#busOwner);
    if (!bus) return async () => {};
    users.set(bus, (users.get(bus) ?? 0) + 1);
    return async () => {
      const left = (users.get(bus) ?? 0) - 1;
      users.set(bus, left);
      if (left > 0) return;
      closed.add(bus);
      await bus.close();
    };
  }
}

const buses = new WeakMap<SessionStore, SessionBus>();
/** How many use a bus, which may be that of several stores. */
const users = new WeakMap<SessionBus, number>();
const closed = new WeakSet<SessionBus>();

/** A store's own bus: one per store object, however many transports share it. */
function busOf(store: SessionStore | undefined): SessionBus | undefined {
  if (!store?.createBus) return undefined;
  const known = buses.get(store);
  if (known && !closed.has(known)) return known;
  const bus = store.createBus();
  closed.delete(bus);
  buses.set(store, bus);
  return bus;
}

/** Options that the SDK has and does not check stay unchecked in kind where the SDK accepts anything. */
function check(options: TransportOptions): void {
  checkOptionsObject('options', options);
  checkOptionNames(options, TRANSPORT_OPTION_NAMES);
  checkOneOf('sessionStorageMode', options.sessionStorageMode, ['memory', 'external']);
  if (options.sessionStore !== undefined) {
    checkMethods('sessionStore', options.sessionStore, SESSION_STORE_METHODS);
  } else if (options.sessionStorageMode === 'external') {
    throw new InvalidOptionError('sessionStore', 'undefined', "a SessionStore when sessionStorageMode is 'external'");
  }
  if (options.sessionBus !== undefined) checkMethods('sessionBus', options.sessionBus, SESSION_BUS_METHODS);
  checkOneOf('standaloneStream', options.standaloneStream, ['takeover', 'reject']);
  if (options.eventStore !== undefined) {
    checkMethods('eventStore', options.eventStore, ['storeEvent', 'replayEventsAfter']);
  }
  checkNumber('storeTimeoutMs', options.storeTimeoutMs, { min: 1 });
  checkNumber('leaseMs', options.leaseMs, { min: 1 });
  const { ttlSeconds } = options.sessionStore ?? {};
  const maxFreshnessMs = ttlSeconds === undefined ? undefined : ttlSeconds * 1000 - 1;
  checkNumber('sessionFreshnessMs', options.sessionFreshnessMs, { min: 0, max: maxFreshnessMs });
  checkNumber('maxStateBytes', options.maxStateBytes, { min: 1, integer: true });
  checkNumber('maxHandshakeBytes', options.maxHandshakeBytes, { min: 1, integer: true });
  checkNumber('maxSubscriptionBytes', options.maxSubscriptionBytes, { min: 1, integer: true });
  checkNumber('maxBusMessageBytes', options.maxBusMessageBytes, { min: 1024, integer: true });
  if (
    options.namespace !== undefined &&
    !(typeof options.namespace === 'string' && NAMESPACE.test(options.namespace))
  ) {
    throw new InvalidOptionError(
      'namespace',
      kindOf(options.namespace),
      '1 to 64 letters, digits, dots, dashes or underscores'
    );
  }
  checkFunction('sessionIdGenerator', options.sessionIdGenerator);
  checkFunction('onsessioninitialized', options.onsessioninitialized);
  checkFunction('onsessionclosed', options.onsessionclosed);
  checkFunction('onsessionrecovered', options.onsessionrecovered);
  checkFunction('principalOf', options.principalOf);
}
