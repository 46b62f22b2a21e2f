export * from './errors.js';
export { createMcpHandler } from './handler/mcpHandler.js';
export { enableResourceSubscriptions } from './handler/subscriptions.js';
export type { Notify } from './handler/notify.js';
export type { McpHandler, McpHandlerOptions, ServerContext, ServerFactory } from './handler/mcpHandler.js';
export { InMemorySessionStore } from './memory/sessionStore.js';
export type { InMemorySessionStoreOptions } from './memory/sessionStore.js';
export { InMemoryEventStore } from './memory/eventStore.js';
export type { InMemoryEventStoreOptions } from './memory/eventStore.js';
export type { FollowableEventStore } from './eventStore.js';
export { RedisEventStore } from './redis/eventStore.js';
export type { RedisEventStoreOptions } from './redis/eventStore.js';
export { RedisTaskStore } from './redis/taskStore.js';
export type { RedisTaskStoreOptions } from './redis/taskStore.js';
export { RedisTaskMessageQueue } from './redis/taskMessageQueue.js';
export type { RedisTaskMessageQueueOptions } from './redis/taskMessageQueue.js';
export { InMemorySessionBus } from './memory/sessionBus.js';
export { RedisSessionBus } from './redis/sessionBus.js';
export type { RedisSessionBusOptions } from './redis/sessionBus.js';
export type { SessionBus } from './sessionBus.js';
export { RedisSessionStore } from './redis/sessionStore.js';
export type { RedisSessionStoreOptions } from './redis/sessionStore.js';
export type {
  RedisBusClient,
  RedisClient,
  RedisEventClient,
  RedisTaskClient,
  RedisTaskQueueClient
} from './redis/client.js';
export { MAX_SUBSCRIPTIONS } from './sessionStore.js';
export type {
  McpSessionState,
  SessionData,
  SessionFilter,
  SessionPatch,
  SessionStateEntry,
  SessionStorageMode,
  SessionStore,
  StateWrite
} from './sessionStore.js';
export type { ReplayedMessageExtraInfo } from './engine/replay.js';
export { StreamableHTTPServerTransport } from './server/streamableHttp.js';
export type { StreamableHTTPServerTransportOptions } from './server/streamableHttp.js';
export { WebStandardStreamableHTTPServerTransport } from './server/webStandardStreamableHttp.js';
export type {
  EventId,
  EventStore,
  HandleRequestOptions,
  StreamId,
  WebStandardStreamableHTTPServerTransportOptions
} from './server/webStandardStreamableHttp.js';
export { PostgresSessionStore } from './postgres/sessionStore.js';
export type { PostgresSessionStoreOptions } from './postgres/sessionStore.js';
export { PostgresSessionBus } from './postgres/sessionBus.js';
export type { PostgresSessionBusOptions } from './postgres/sessionBus.js';
export { PostgresEventStore } from './postgres/eventStore.js';
export type { PostgresEventStoreOptions } from './postgres/eventStore.js';
export { PostgresTaskStore } from './postgres/taskStore.js';
export type { PostgresTaskStoreOptions } from './postgres/taskStore.js';
export { PostgresTaskMessageQueue } from './postgres/taskMessageQueue.js';
export type { PostgresTaskMessageQueueOptions } from './postgres/taskMessageQueue.js';
export { migrate } from './postgres/migrate.js';
export type { MigrateOptions } from './postgres/migrate.js';
export type { PostgresPool } from './postgres/client.js';
export { withLock } from './lock.js';
export type { LockOptions, LockStore } from './lock.js';
export { sessionState } from './sessionState.js';
export type { RequestExtra, SessionState } from './sessionState.js';
export { FileSessionStore } from './file/sessionStore.js';
export type { FileSessionStoreOptions } from './file/sessionStore.js';
export { encryptSessionStore } from './encryption/sessionStore.js';
export type { EncryptSessionStoreOptions } from './encryption/sessionStore.js';
export type { EncryptionKey } from './encryption/keyring.js';
export type { NodeRedisClient } from './redis/nodeRedis.js';
export { createMemorySessionStore, createSessionServices, createSessionStore } from './services/sessionServices.js';
export type { OwningSessionStore, SessionServices } from './services/sessionServices.js';
export type { SessionServicesOptions, StorageType } from './services/options.js';
export { isRedisAvailable } from './services/redis.js';
export { CLIENT_SESSION_TTL_SECONDS, createClientSessions } from './clientSessions/clientSessions.js';
export type { ClientSessions, ClientSessionsOptions } from './clientSessions/clientSessions.js';
export type { ClientSessionOAuthOptions } from './clientSessions/oauthProvider.js';
export type { ClientSession, ClientSessionChanges, NewClientSession } from './clientSessions/record.js';
