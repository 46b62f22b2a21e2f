import type { SessionBus } from '../../ports/sessionBus.js';
import { TopicListeners } from '../shared/topicListeners.js';
import { keepSelf, throughWrappers } from '../../wrappable.js';

/** A bus within this process, for pods that share an `InMemorySessionStore`. */
export class InMemorySessionBus implements SessionBus {
  readonly #listeners = new TopicListeners();
  #delivered: Promise<void> = Promise.resolve();

  static {
    throughWrappers(this);
  }

  constructor() {
    keepSelf(this);
  }

  async publish(topic: string, message: string): Promise<void> {
    // Delivered in a later turn, as on any other bus: no publisher runs inside a listener's call.
    this.#delivered = this.#delivered.then(() => this.#listeners.emit(topic, message));
  }

  async subscribe(topic: string, listener: (message: string) => void): Promise<() => Promise<void>> {
    this.#listeners.add(topic, listener);
    return async () => void this.#listeners.remove(topic, listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }
}
