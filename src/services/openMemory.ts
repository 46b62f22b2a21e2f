import type * as Tasks from 'mcp-sdk-upstream/experimental/tasks/stores/in-memory.js';
import { InMemoryEventStore } from '../backends/memory/eventStore.js';
import { InMemorySessionStore } from '../backends/memory/sessionStore.js';
import type { Backend } from './backend.js';
import type { BackendOptions } from './options.js';

/** Keeps everything in the memory of this process. */
export async function openMemory({ ttlSeconds }: Pick<BackendOptions, 'ttlSeconds'>): Promise<Backend> {
  // It uses Node's modules, so it is imported here. A bundle for browsers does not contain it: see `browser` in
  // package.json.
  const tasks: Partial<typeof Tasks> = await import('mcp-sdk-upstream/experimental/tasks/stores/in-memory.js');
  const taskStore = tasks.InMemoryTaskStore && new tasks.InMemoryTaskStore();
  const sessionStore = new InMemorySessionStore({ ttlSeconds });
  return {
    sessionStore,
    sessionBus: sessionStore.createBus(),
    eventStore: new InMemoryEventStore({ ttlSeconds }),
    taskStore,
    taskMessageQueue: tasks.InMemoryTaskMessageQueue && new tasks.InMemoryTaskMessageQueue(),
    close: async () => taskStore?.cleanup()
  };
}
