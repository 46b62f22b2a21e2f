export { SharedInfoSessionManager, SharedInfoSessionManager as RedisInfoSessionManager } from './info.js';
export { SharedStreamSessionManager, SharedStreamSessionManager as RedisStreamSessionManager } from './streams.js';
export { SharedSubscriptionManager, SharedSubscriptionManager as RedisSubscriptionManager } from './subscriptions.js';
export type { ClientInfo } from './info.js';
export type { SessionManagerOptions, SharedBackend } from './backend.js';
export type { Subscription, SubscriptionCallbacks, SubscriptionFilters } from './subscriptions.js';
