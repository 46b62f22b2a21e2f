import type { AuthInfo, EventStore } from '../sdkTypes.js';
import { InvalidOptionError } from '../errors.js';
import type { Dialect } from './dialect.js';
import { SESSION_BUS_METHODS, type SessionBus } from '../ports/sessionBus.js';
import { SESSION_STORE_METHODS, type SessionStorageMode, type SessionStore } from '../ports/sessionStore.js';
import {
  checkFunction,
  checkMethods,
  checkNumber,
  checkOneOf,
  checkOptionNames,
  checkOptionsObject,
  isPromise,
  isRedisClient,
  kindOf
} from '../validate.js';
import { busOf, retainBus } from './pods/storeBus.js';
import { TRANSPORT_OPTION_NAMES, type TransportOptions } from './transportOptions.js';
import { defaultSseKeepAliveMs } from './streams/sseKeepAlive.js';
import { resolveMaxRequestBodySize } from './http/requestLimits.js';
import { StoreAccess } from './session/storeAccess.js';
import { defaultPrincipalOf } from './session/principal.js';
import { PodEvents } from '../events/podEvents.js';

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
  isMadeByApplication = false;
  readonly dialect: Dialect;
  /** The protocol versions of a server that does not say which it supports. */
  readonly supportedVersions: readonly string[];
  /** Announces what happens to the sessions that share these options. */
  readonly events: PodEvents;
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
  constructor(options: TransportOptions, dialect: Dialect) {
    check(options, dialect);
    this.dialect = dialect;
    this.supportedVersions = dialect.supportedVersionsOf(options);
    this.events = new PodEvents(options.onLog);
    this.mode = options.sessionStorageMode ?? (options.sessionStore ? 'external' : 'memory');
    this.storeTimeoutMs = options.storeTimeoutMs ?? DEFAULT_STORE_TIMEOUT_MS;
    this.leaseMs = options.leaseMs ?? DEFAULT_LEASE_MS;
    this.sessionFreshnessMs = options.sessionFreshnessMs ?? 0;
    this.storeAccess =
      this.mode === 'external' && options.sessionStore
        ? new StoreAccess(options.sessionStore, this.storeTimeoutMs, this.events.store)
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
    this.keepAliveMs = options.keepAliveMs ?? defaultSseKeepAliveMs();
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

const SESSION_STORE =
  'a session store, such as new RedisSessionStore({ redis }): an object with the methods ' +
  SESSION_STORE_METHODS.join(', ');

/**
 * Refuses a store, or a client of one, under a name that is not an option: it would be ignored, and sessions would silently
 * be kept in the memory of this process.
 */
function checkNoHiddenStore(options: object): void {
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    if (Object.hasOwn(TRANSPORT_OPTION_NAMES, name) || typeof value !== 'object' || value === null) continue;
    const { sessionStore } = value as { sessionStore?: unknown };
    if (sessionStore !== undefined) {
      const kind = isPromise(value) ? kindOf(value) : 'an object with a sessionStore';
      throw new InvalidOptionError(name, kind, `its parts, as options: { ...${name} }`);
    }
    if (isRedisClient(value)) {
      throw new InvalidOptionError(name, kindOf(value), 'the option sessionStore: new RedisSessionStore({ redis })');
    }
    if (SESSION_STORE_METHODS.every(method => typeof (value as Record<string, unknown>)[method] === 'function')) {
      throw new InvalidOptionError(name, 'a session store under an unknown name', 'sessionStore');
    }
  }
}

/** If the SDK accepts any value for one of its options, the option is not checked here either. */
function check(options: TransportOptions, { optionNames }: Dialect): void {
  checkOptionsObject('options', options);
  checkOptionNames(options, { ...TRANSPORT_OPTION_NAMES, ...optionNames });
  checkOneOf('sessionStorageMode', options.sessionStorageMode, ['memory', 'external']);
  if (options.sessionStore !== undefined) {
    checkMethods('sessionStore', options.sessionStore, SESSION_STORE_METHODS, SESSION_STORE);
  } else if (options.sessionStorageMode === 'external') {
    throw new InvalidOptionError('sessionStore', 'undefined', "a SessionStore when sessionStorageMode is 'external'");
  } else {
    checkNoHiddenStore(options);
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
  checkFunction('onLog', options.onLog);
}
