/* What both packages export: `mcp-sdk-anypod`, and `mcp-server-anypod` for version 2 of the SDK. */

export * from './errors.js';
export type { Notify } from './handler/notifier.js';
export type { CloseOptions } from './handler/mcpHandler.js';
export { InMemorySessionStore } from './backends/memory/sessionStore.js';
export type { InMemorySessionStoreOptions } from './backends/memory/sessionStore.js';
export { InMemoryEventStore } from './backends/memory/eventStore.js';
export type { InMemoryEventStoreOptions } from './backends/memory/eventStore.js';
export type { FollowableEventStore } from './ports/eventStore.js';
export { RedisEventStore } from './backends/redis/eventStore.js';
export type { RedisEventStoreOptions } from './backends/redis/eventStore.js';
export { InMemorySessionBus } from './backends/memory/sessionBus.js';
export { RedisSessionBus } from './backends/redis/sessionBus.js';
export type { RedisSessionBusOptions } from './backends/redis/sessionBus.js';
export type { SessionBus } from './ports/sessionBus.js';
export { RedisSessionStore } from './backends/redis/sessionStore.js';
export type { RedisSessionStoreOptions } from './backends/redis/sessionStoreOptions.js';
export type {
  RedisBusClient,
  RedisClient,
  RedisEventClient,
  RedisEventPipeline,
  RedisIndexClient,
  RedisPipeline,
  RedisSubscriber
} from './backends/redis/client.js';
export type { OpenRateLimit, OpeningLimitOptions } from './handler/openingLimits.js';
export { MAX_SUBSCRIPTIONS } from './ports/sessionStore.js';
export type {
  McpSessionState,
  SessionData,
  SessionFilter,
  SessionOwner,
  SessionPatch,
  SessionStateEntry,
  SessionStorageMode,
  SessionStore,
  StateWrite
} from './ports/sessionStore.js';
export type { ReplayedMessageExtraInfo } from './engine/session/handshakeReplay.js';
export { PostgresSessionStore } from './backends/postgres/sessionStore.js';
export type { PostgresSessionStoreOptions } from './backends/postgres/sessionStore.js';
export { PostgresSessionBus } from './backends/postgres/sessionBus.js';
export type { PostgresSessionBusOptions } from './backends/postgres/sessionBus.js';
export { PostgresEventStore } from './backends/postgres/eventStore.js';
export type { PostgresEventStoreOptions } from './backends/postgres/eventStore.js';
export { migrate } from './backends/postgres/migrate.js';
export type { MigrateOptions } from './backends/postgres/migrate.js';
export type { PostgresPool, PostgresPoolClient, PostgresResult } from './backends/postgres/client.js';
export type { PostgresOptions } from './backends/postgres/database.js';
export type { TableNames } from './backends/postgres/tables.js';
export type { OnLog } from './log.js';
export type { HandlerHealth } from './handler/health.js';
export { withLock } from './locks/withLock.js';
export type { LockOptions } from './locks/withLock.js';
export type { LockStore } from './locks/lockStore.js';
export type { SessionState } from './engine/session/sessionState.js';
export { FileSessionStore } from './backends/file/sessionStore.js';
export type { FileSessionStoreOptions } from './backends/file/sessionStore.js';
export { encryptSessionStore } from './encryption/sessionStore.js';
export { signSessionBus } from './encryption/signedSessionBus.js';
export type { SignSessionBusOptions } from './encryption/signedSessionBus.js';
export type { EncryptSessionStoreOptions } from './encryption/sessionStore.js';
export type { EncryptionKey, NamedEncryptionKey } from './encryption/keyring.js';
export type { NodeRedisClient } from './backends/redis/nodeRedis.js';
export { createMemorySessionStore, createSessionServices, createSessionStore } from './services/sessionServices.js';
export type { OwningSessionStore, SessionServices } from './services/sessionServices.js';
export type { SessionServicesOptions, StorageType } from './services/options.js';
export type { Backend } from './services/backend.js';
export { isRedisAvailable } from './services/openRedis.js';
