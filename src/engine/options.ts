import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import type { EventStore } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
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
import { busOf, retainBus } from './pods/storeBus.js';
import { TRANSPORT_OPTION_NAMES, type TransportOptions } from './transportOptions.js';
import { DEFAULT_SSE_KEEP_ALIVE_MS } from './streams/sseKeepAlive.js';
import { resolveMaxRequestBodySize } from './http/requestLimits.js';
import { StoreAccess } from './session/storeAccess.js';
import { defaultPrincipalOf } from './session/principal.js';

const DEFAULT_STORE_TIMEOUT_MS = 2000;
const DEFAULT_LEASE_MS = 5000;
const DEFAULT_MAX_STATE_BYTES = 65_536;
const DEFAULT_MAX_HANDSHAKE_BYTES = 65_536;
const DEFAULT_MAX_SUBSCRIPTION_BYTES = 65_536;
const DEFAULT_MAX_BUS_MESSAGE_BYTES = 1_048_576;
const NAMESPACE = /^[A-Za-z0-9._-]{1,64}$/;

/** The checked options of a transport with their defaults. Made once and shared by all sessions of a host. */
export class ResolvedOptions {
  /** Whether the application made the transport itself, so that only the application keeps it for its session. */
  isHandWired = false;
  readonly mode: SessionStorageMode;
  /** Defined in external mode. */
  readonly storeAccess: StoreAccess | undefined;
  /** Defined in external mode. For calls that are not about one session. */
  readonly store: SessionStore | undefined;
  /** Defined in external mode, if there is one. */
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
  /** Defined in external mode if the store's own bus is used. */
  readonly #busOwner: SessionStore | undefined;

  /** @throws InvalidOptionError if an option has the wrong type, or external mode has no store */
  constructor(options: TransportOptions) {
    check(options);
    this.mode = options.sessionStorageMode ?? (options.sessionStore ? 'external' : 'memory');
    this.storeTimeoutMs = options.storeTimeoutMs ?? DEFAULT_STORE_TIMEOUT_MS;
    this.leaseMs = options.leaseMs ?? DEFAULT_LEASE_MS;
    this.sessionFreshnessMs = options.sessionFreshnessMs ?? 0;
    this.storeAccess =
      this.mode === 'external' && options.sessionStore
        ? new StoreAccess(options.sessionStore, this.storeTimeoutMs)
        : undefined;
    this.store = this.storeAccess && options.sessionStore;
    this.bus = this.storeAccess && (options.sessionBus ?? busOf(options.sessionStore));
    this.takeover = (options.standaloneStream ?? (this.storeAccess ? 'takeover' : 'reject')) === 'takeover';
    // A store has no use without sessions, so external mode always has an id generator.
    this.sessionIdGenerator =
      options.sessionIdGenerator ?? (this.storeAccess ? () => globalThis.crypto.randomUUID() : undefined);
    this.enableJsonResponse = options.enableJsonResponse ?? false;
    this.eventStore = options.eventStore;

    // As with the SDK, null counts as undefined.
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

  /** Keeps the store's own bus open until the returned function is called; see {@link retainBus}. */
  retainBus(): () => Promise<void> {
    return retainBus(this.#busOwner);
  }
}

/** If the SDK accepts any value for one of its options, the option is not checked here either. */
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
