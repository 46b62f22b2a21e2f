import type { TaskMessageQueue, TaskStore } from 'mcp-sdk-upstream/experimental/tasks/interfaces.js';
import type { EventStore } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { SessionBus } from '../sessionBus.js';
import type { SessionStore } from '../sessionStore.js';

/** What a backend gives, over clients that it opened itself. */
export interface Backend {
  readonly sessionStore: SessionStore;
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
