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
   * @param listener - gets each message. An error that it throws stops neither other listeners nor later messages
   * @returns a function that ends the subscription; messages that are under way may still arrive
   */
  subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>>;
  /** Ends all subscriptions and closes the connections that the bus opened. May be called twice. */
  close(): Promise<void>;
}

export const SESSION_BUS_METHODS = ['publish', 'subscribe', 'close'] as const;
