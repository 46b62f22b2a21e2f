export const DEFAULT_KEY_PREFIX = 'mcp:session:';

/**
 * Every Redis key of this package. The session id is the hash tag, so that all keys of a session share a slot of a
 * Cluster; characters that could end the tag early are escaped.
 */
export class RedisKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** String: the record's revision. The session exists as long as this key does. */
  session(sessionId: string): string {
    return `${this.#prefix}{${sessionId.replace(/[%{}]/g, encodeURIComponent)}}`;
  }

  /** Hash: the record, and the application's state. Expires after {@link session}, never before. */
  record(sessionId: string): string {
    return `${this.session(sessionId)}:record`;
  }

  /** Sorted set: one part of all session ids, by the time until which they may live. */
  sessionIndex(share: number): string {
    return `${this.#prefix}sessions:${share.toString(16)}`;
  }

  /** Sorted set: the ids of the sessions subscribed to a resource, by the time until which they may live. */
  subscriptionIndex(uri: string): string {
    return `${this.#prefix}subscribed:${uri}`;
  }

  /** Sorted set: the ids of a principal's sessions, by the time until which they may live. */
  principalIndex(principal: string): string {
    return `${this.#prefix}principal:${principal}`;
  }

  /** String: the token that holds the session's lock. */
  lock(sessionId: string): string {
    return `${this.session(sessionId)}:lock`;
  }

  /** Sorted set: the tokens that wait for the lock, in the order of arrival. */
  lockQueue(sessionId: string): string {
    return `${this.session(sessionId)}:lock-queue`;
  }

  /** Sorted set: the same tokens, by the time until which they keep their places. */
  lockPlaces(sessionId: string): string {
    return `${this.session(sessionId)}:lock-places`;
  }

  /** Stream: the events of one of the transport's streams. */
  events(streamId: string): string {
    return `${this.#prefix}events:${streamId}`;
  }

  /** String: the only event of a stream. */
  onlyEvent(sessionId: string, name: string): string {
    return `${this.session(sessionId)}:answer:${name}`;
  }

  /** Sorted set: the names of a session's complete streams, by the time until which they are kept. */
  completeStreams(sessionId: string): string {
    return `${this.session(sessionId)}:streams`;
  }

  /** String: the session was deleted a moment ago. */
  tombstone(sessionId: string): string {
    return `${this.session(sessionId)}:deleted`;
  }

  /** Hash: a task. */
  task(sessionId: string | undefined, taskId: string): string {
    return `${this.#ofTasks(sessionId)}:task:${taskId}`;
  }

  /** Sorted set: the ids of a session's tasks, in the order of their creation. */
  tasks(sessionId: string | undefined): string {
    return `${this.#ofTasks(sessionId)}:tasks`;
  }

  /** Sorted set: the same ids, by the time until which they live. */
  taskExpiries(sessionId: string | undefined): string {
    return `${this.#ofTasks(sessionId)}:task-expiries`;
  }

  /** List: the messages of a task to its client. */
  taskMessages(sessionId: string | undefined, taskId: string): string {
    return `${this.#ofTasks(sessionId)}:task-messages:${taskId}`;
  }

  /** Tasks without a session share the tag `%`. No session has it, because a percent sign in a session id is escaped. */
  #ofTasks(sessionId: string | undefined): string {
    return sessionId === undefined ? `${this.#prefix}{%}` : this.session(sessionId);
  }
}
