type Listener = (message: string) => void;

/** The listeners of a process by topic: what every bus needs above its backend. */
export class TopicListeners {
  /** Nearly every topic has one listener, and there are as many as live sessions: so few are no set. */
  readonly #topics = new Map<string, readonly Listener[]>();
  readonly #onerror: (error: Error) => void;

  /** @param onerror - told of what a listener has thrown */
  constructor(onerror: (error: Error) => void = () => {}) {
    this.#onerror = onerror;
  }

  /** @returns whether this is the first listener of the topic */
  add(topic: string, listener: Listener): boolean {
    const listeners = this.#topics.get(topic) ?? [];
    if (!listeners.includes(listener)) this.#topics.set(topic, [...listeners, listener]);
    return listeners.length === 0;
  }

  /** @returns whether this was the last listener of the topic */
  remove(topic: string, listener: Listener): boolean {
    const listeners = this.#topics.get(topic);
    if (!listeners?.includes(listener)) return false;
    if (listeners.length === 1) return this.#topics.delete(topic);
    const others = listeners.filter(other => other !== listener);
    this.#topics.set(topic, others);
    return false;
  }

  /**
   * A listener that another one removes meanwhile is told all the same. Where one throws, neither the others nor the
   * connection that the message came by are to suffer from it.
   */
  emit(topic: string, message: string): void {
    for (const listener of this.#topics.get(topic) ?? []) {
      try {
        listener(message);
      } catch (error) {
        this.#onerror(error as Error);
      }
    }
  }

  clear(): void {
    this.#topics.clear();
  }
}
