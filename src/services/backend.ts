import { BackendUnavailableError } from '../errors.js';
import type { EventStore } from '../sdkTypes.js';
import type { SessionBus } from '../ports/sessionBus.js';
import type { SessionStore } from '../ports/sessionStore.js';
import type { TaskParts } from './openTasks.js';

/** The parts of a backend. They use clients that the backend opened. */
export interface Backend extends TaskParts {
  /** Keeps the sessions. */
  readonly sessionStore: SessionStore;
  /** Carries messages between pods. */
  readonly sessionBus: SessionBus;
  /** Undefined if the backend has none. */
  readonly eventStore?: EventStore;
  /** Closes the opened clients. Called after bus and store were closed. */
  close(): Promise<void>;
}

/**
 * Returns a module that was imported on demand. A bundle that is not built for Node has an empty module instead: see
 * `imports` in package.json.
 * @throws BackendUnavailableError
 */
export function loaded<T extends object>(module: T, name: string, needed: keyof T): T {
  if (module[needed] !== undefined) return module;
  throw new BackendUnavailableError(
    `This bundle has no ${name}: build it with the condition "node", or do not use ${name}`
  );
}
