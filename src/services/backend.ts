import { BackendUnavailableError } from '../errors.js';
import type { TaskMessageQueue, TaskStore } from 'mcp-sdk-upstream/experimental/tasks/interfaces.js';
import type { EventStore } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { SessionBus } from '../ports/sessionBus.js';
import type { SessionStore } from '../ports/sessionStore.js';

/** The parts of a backend. They use clients that the backend opened. */
export interface Backend {
  /** Keeps the sessions. */
  readonly sessionStore: SessionStore;
  /** Carries messages between pods. */
  readonly sessionBus: SessionBus;
  /** Undefined if the backend has none. */
  readonly eventStore?: EventStore;
  /** Undefined if the backend has none. */
  readonly taskStore?: TaskStore;
  /** Undefined if the backend has none. */
  readonly taskMessageQueue?: TaskMessageQueue;
  /** Closes the opened clients. Called after bus and store were closed. */
  close(): Promise<void>;
}

/**
 * Returns a module that was imported on demand. A bundle for browsers has an empty module instead of one that only runs
 * on Node: see `browser` in package.json.
 * @throws BackendUnavailableError
 */
export function loaded<T extends object>(module: T, name: string, needed: keyof T): T {
  if (module[needed] !== undefined) return module;
  throw new BackendUnavailableError(`A bundle for browsers has no ${name}: build it for Node, or do not use ${name}`);
}
