import { InMemoryTaskMessageQueue, InMemoryTaskStore } from 'mcp-sdk-upstream/experimental/tasks/stores/in-memory.js';
import { InMemoryEventStore } from '../memory/eventStore.js';
import { InMemorySessionStore } from '../memory/sessionStore.js';
import type { Backend } from './backend.js';
import type { BackendOptions } from './options.js';

/** Everything in this process, for this process alone. */
export async function openMemory({ ttlSeconds }: Pick<BackendOptions, 'ttlSeconds'>): Promise<Backend> {
  const sessionStore = new InMemorySessionStore({ ttlSeconds });
  const taskStore = new InMemoryTaskStore();
  return {
    sessionStore,
    sessionBus: sessionStore.createBus(),
    eventStore: new InMemoryEventStore({ ttlSeconds }),
    taskStore,
    taskMessageQueue: new InMemoryTaskMessageQueue(),
    close: async () => taskStore.cleanup()
  };
}
