import { InMemoryEventStore } from '../backends/memory/eventStore.js';
import { InMemorySessionStore } from '../backends/memory/sessionStore.js';
import type { Backend } from './backend.js';
import { memoryTasks } from './openTasks.js';
import type { BackendOptions } from './options.js';

/** Keeps everything in the memory of this process. */
export async function openMemory({ ttlSeconds }: Pick<BackendOptions, 'ttlSeconds'>): Promise<Backend> {
  const sessionStore = new InMemorySessionStore({ ttlSeconds });
  return {
    sessionStore,
    sessionBus: sessionStore.createBus(),
    eventStore: new InMemoryEventStore({ ttlSeconds }),
    ...(await memoryTasks())
  };
}
