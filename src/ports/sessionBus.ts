/**
 * Messages between pods: best effort, at most once.
 *
 * - A message reaches all listeners of its topic at that moment, in every process that shares the backend. This
 *   includes the publisher's own listeners. A topic without listeners is not an error. A listener may also receive
 *   messages that were on their way to an earlier listener of the same bus when it subscribed.
 * - Messages of one publisher on one topic arrive in the order in which they were published. Nothing else is ordered.
 * - Messages published during an outage of the backend are lost. The bus reconnects by itself and restores its
 *   subscriptions. Messages that must not be lost go through the event store.
 */
export interface SessionBus {
  /** Resolves when the backend has accepted the message; rejects if it has not. */
  publish(topic: string, message: string): Promise<void>;
  /**
   * Resolves when the subscription is in effect.
   * @param listener - receives each message. An error that it throws does not affect other listeners or later messages
   * @returns a function that ends the subscription; messages in flight may still arrive
   */
  subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>>;
  /** Ends all subscriptions and closes the connections that the bus opened. May be called twice. */
  close(): Promise<void>;
}

export const SESSION_BUS_METHODS = ['publish', 'subscribe', 'close'] as const;
