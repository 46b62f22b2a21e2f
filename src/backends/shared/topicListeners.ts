type Listener = (message: string) => void;

/** The listeners of this process, by topic. Every bus uses it. */
export class TopicListeners {
  /** Each live session has a topic, and nearly every topic has one listener: an array is smaller than a set. */
  readonly #topics = new Map<string, readonly Listener[]>();
  readonly #onerror: (thrown: unknown) => void;

  /** @param onerror - receives the value that a listener threw, which need not be an Error */
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
   * Passes a message to the listeners of its topic, even if another listener removes one of them meanwhile. Never throws:
   * an error would affect the other listeners, or the connection that received the message. If a listener returns a
   * promise, it is not awaited; a rejection is reported like a thrown error.
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
      // An error of the error handler cannot be reported.
    }
  }
}
