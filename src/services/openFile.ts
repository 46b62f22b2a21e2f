import { BackendUnavailableError, SessionStoreUnavailableError } from '../errors.js';
import { FileSessionStore } from '../backends/file/sessionStore.js';
import { InMemoryEventStore } from '../backends/memory/eventStore.js';
import { InMemorySessionBus } from '../backends/memory/sessionBus.js';
import type { Backend } from './backend.js';
import type { BackendOptions } from './options.js';
import { memoryTasks } from './openTasks.js';

/**
 * Keeps sessions in files of a directory, for one process. Sessions survive a restart; event logs and tasks do not.
 * @throws BackendUnavailableError, InvalidOptionError
 */
export async function openFile(path: string, { ttlSeconds, onLog }: BackendOptions): Promise<Backend> {
  const sessionStore = new FileSessionStore({ path, ttlSeconds, onLog });
  try {
    await sessionStore.open();
  } catch (error) {
    if (!(error instanceof SessionStoreUnavailableError)) throw error;
    throw new BackendUnavailableError(error.message, { cause: error });
  }
  return {
    sessionStore,
    sessionBus: new InMemorySessionBus(),
    eventStore: new InMemoryEventStore({ ttlSeconds }),
    ...(await memoryTasks())
  };
}
