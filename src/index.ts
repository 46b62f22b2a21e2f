export * from './common.js';
export { createMcpHandler } from './server/createMcpHandler.js';
export { enableResourceSubscriptions } from './server/resourceSubscriptions.js';
export type { McpHandler, McpHandlerOptions } from './handler/mcpHandler.js';
export type { ConnectableServer, ServerContext, ServerFactory } from './handler/serverFactory.js';
export type { TaskPage } from './tasks/sharedTaskStore.js';
export { RedisTaskStore } from './backends/redis/taskStore.js';
export type { RedisTaskStoreOptions } from './backends/redis/taskStore.js';
export { RedisTaskMessageQueue } from './backends/redis/taskMessageQueue.js';
export type { RedisTaskMessageQueueOptions } from './backends/redis/taskMessageQueue.js';
export type { RedisTaskClient, RedisTaskPipeline, RedisTaskQueueClient } from './backends/redis/client.js';
export { StreamableHTTPServerTransport } from './server/streamableHttp.js';
export type { StreamableHTTPServerTransportOptions } from './server/streamableHttp.js';
export type { FetchOptions } from './adapters/webExchange.js';
export { WebStandardStreamableHTTPServerTransport } from './server/webStandardStreamableHttp.js';
export type {
  EventId,
  EventStore,
  HandleRequestOptions,
  StreamId,
  WebStandardStreamableHTTPServerTransportOptions
} from './server/webStandardStreamableHttp.js';
export { PostgresTaskStore } from './backends/postgres/taskStore.js';
export type { PostgresTaskStoreOptions } from './backends/postgres/taskStore.js';
export { PostgresTaskMessageQueue } from './backends/postgres/taskMessageQueue.js';
export type { PostgresTaskMessageQueueOptions } from './backends/postgres/taskMessageQueue.js';
export type { LogLevel, OnLogEvent } from './events/podEvents.js';
export type { PortHealth } from './events/portCalls.js';
export type {
  AnypodChannels,
  BusEvent,
  BusMessageEvent,
  CallEvent,
  EndedBy,
  ExchangeEvent,
  RecoveryCause,
  RefusalReason,
  RequestEvent,
  RunWithin,
  SessionEvent,
  StreamEvent,
  StreamKind,
  TraceField
} from './events/payloads.js';
export { sessionState } from './server/sessionState.js';
export type { RequestExtra } from './server/sessionState.js';
export type { TaskParts } from './services/openTasks.js';
export { CLIENT_SESSION_TTL_SECONDS, createClientSessions } from './clientSessions/clientSessions.js';
export type { ClientSessions, ClientSessionsOptions } from './clientSessions/clientSessions.js';
export type { ClientSessionOAuthOptions } from './clientSessions/oauthOptions.js';
export type { ClientSession, ClientSessionChanges, NewClientSession } from './clientSessions/record.js';
