/** The SDK's types for tasks. Only version 1 of the SDK has them. */
export type {
  CreateTaskOptions,
  QueuedMessage,
  TaskMessageQueue,
  TaskStore
} from 'mcp-sdk-upstream/experimental/tasks/interfaces.js';
export type { Request, Result, Task } from 'mcp-sdk-upstream/types.js';
