import type * as Tasks from 'mcp-sdk-upstream/experimental/tasks/stores/in-memory.js';
import type { TaskMessageQueue, TaskStore } from 'mcp-sdk-upstream/experimental/tasks/interfaces.js';
import type { PostgresPool } from '../backends/postgres/client.js';
import { PostgresTaskMessageQueue } from '../backends/postgres/taskMessageQueue.js';
import { PostgresTaskStore } from '../backends/postgres/taskStore.js';
import { RedisTaskMessageQueue, type RedisTaskMessageQueueOptions } from '../backends/redis/taskMessageQueue.js';
import { RedisTaskStore, type RedisTaskStoreOptions } from '../backends/redis/taskStore.js';
import type { Log } from './options.js';

/*
 * Tasks are a part of version 1 of the SDK. In `mcp-server-anypod`, src/v2/noTasks.ts is in the place of this module.
 */

/** The parts of a backend that keep tasks. */
export interface TaskParts {
  /** Undefined if the backend has none. */
  readonly taskStore?: TaskStore;
  /** Undefined if the backend has none. */
  readonly taskMessageQueue?: TaskMessageQueue;
}

/**
 * The SDK's task store in memory. It uses modules of Node, so a bundle that is not built for Node has an empty module
 * instead: see `imports` in package.json. Then there are no tasks.
 */
export async function memoryTasks(): Promise<TaskParts & { close(): Promise<void> }> {
  const { InMemoryTaskStore, InMemoryTaskMessageQueue }: Partial<typeof Tasks> = await import('#tasks-in-memory');
  const taskStore = InMemoryTaskStore && new InMemoryTaskStore();
  return {
    taskStore,
    taskMessageQueue: InMemoryTaskMessageQueue && new InMemoryTaskMessageQueue(),
    close: async () => taskStore?.cleanup()
  };
}

export function redisTasks(options: RedisTaskStoreOptions & RedisTaskMessageQueueOptions): TaskParts {
  const { redis, keyPrefix } = options;
  return {
    taskStore: new RedisTaskStore({ redis, keyPrefix }),
    taskMessageQueue: new RedisTaskMessageQueue(options)
  };
}

export function postgresTasks(options: { pool: PostgresPool; onLog: Log }): TaskParts {
  return {
    taskStore: new PostgresTaskStore(options),
    taskMessageQueue: new PostgresTaskMessageQueue(options)
  };
}
