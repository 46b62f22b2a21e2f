import { BackendUnavailableError } from '../errors.js';
import type { TaskMessageQueue, TaskStore } from 'mcp-sdk-upstream/experimental/tasks/interfaces.js';
import type { EventStore } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { SessionBus } from '../ports/sessionBus.js';
import type { SessionStore } from '../ports/sessionStore.js';

/** What a backend gives, over clients that it opened itself. */
export interface Backend {
  /** Keeps the sessions. */
  readonly sessionStore: SessionStore;
  /** Carries messages between pods. */
  readonly sessionBus: SessionBus;
  /** Absent where the backend has none. */
  readonly eventStore?: EventStore;
  /** Absent where the backend has none. */
  readonly taskStore?: TaskStore;
  /** Absent where the backend has none. */
  readonly taskMessageQueue?: TaskMessageQueue;
  /** Closes what was opened, after bus and store have been closed. */
  close(): Promise<void>;
}

/**
 * What was loaded when it was needed. A bundle for browsers has an empty module in place of what runs on Node alone: see
 * `browser` in package.json.
 * @throws BackendUnavailableError
 */
export function loaded<T extends object>(module: T, name: string, needed: keyof T): T {
  if (module[needed] !== undefined) return module;
  throw new BackendUnavailableError(
    `A bundle for browsers has no ${name}: build it for Node, or leave ${name} out of it`
  );
}
