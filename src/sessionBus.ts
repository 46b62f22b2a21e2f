/**
 * Messages between pods: best effort, at most once.
 *
 * - A message reaches whoever listens to its topic at that moment, in every process that shares the backend, the
 *   publisher's own listeners included. Nobody may be listening; that is no error.
 * - Messages of one publisher on one topic arrive in the order in which they were published. Nothing else is ordered.
 * - Whatever is published during an outage of the backend is lost. The bus comes back by itself, with its
 *   subscriptions. What must not be lost travels through the event store.
 */
export interface SessionBus {
  /** Settles when the backend has taken the message. Rejects when it has not. */
  publish(topic: string, message: string): Promise<void>;
  /**
   * Settles when the subscription is in effect.
   * @returns ends the subscription; messages under way may still arrive
   */
  subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>>;
  /** Ends all subscriptions and closes the connections that the bus opened. May be called twice. */
  close(): Promise<void>;
}

export const SESSION_BUS_METHODS = ['publish', 'subscribe', 'close'] as const;

/** The listeners of a process by topic: what every bus needs above its backend. */
export class TopicListeners {
  readonly #topics = new Map<string, Set<(message: string) => void>>();

  /** @returns whether this is the first listener of the topic */
  add(topic: string, listener: (message: string) => void): boolean {
    const listeners = this.#topics.get(topic);
    if (!listeners) this.#topics.set(topic, new Set([listener]));
    else listeners.add(listener);
    return !listeners;
  }

  /** @returns whether this was the last listener of the topic */
  remove(topic: string, listener: (message: string) => void): boolean {
    const listeners = this.#topics.get(topic);
    if (!listeners?.delete(listener) || listeners.size > 0) return false;
    return this.#topics.delete(topic);
  }

  emit(topic: string, message: string): void {
    for (const listener of this.#topics.get(topic) ?? []) listener(message);
  }

  clear(): void {
    this.#topics.clear();
  }
}
