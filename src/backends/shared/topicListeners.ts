type Listener = (message: string) => void;

/** The listeners of this process by topic: what every bus needs on top of its backend. */
export class TopicListeners {
  /** There is a topic for each live session, and nearly every topic has one listener: an array is smaller than a set. */
  readonly #topics = new Map<string, readonly Listener[]>();
  readonly #onerror: (thrown: unknown) => void;

  /** @param onerror - gets what a listener has thrown, which need not be an Error */
  constructor(onerror: (thrown: unknown) => void = () => {}) {
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
   * Gives a message to the listeners of its topic, also to one that another listener removes meanwhile. Never throws:
   * an error would reach the other listeners' messages, or the connection that has brought the message. A listener that
   * returns a promise is not awaited; its rejection is reported like an error that is thrown.
   */
  emit(topic: string, message: string): void {
    for (const listener of this.#topics.get(topic) ?? []) {
      try {
        const returned: unknown = listener(message);
        if (returned instanceof Promise) returned.catch((thrown: unknown) => this.#report(thrown));
      } catch (thrown) {
        this.#report(thrown);
      }
    }
  }

  clear(): void {
    this.#topics.clear();
  }

  #report(thrown: unknown): void {
    try {
      this.#onerror(thrown);
    } catch {
      // There is nobody left to tell.
    }
  }
}
