import type { TransportOptions } from './options.js';

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
