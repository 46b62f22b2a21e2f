/** Runs work with the same key one after the other, within this process. A key without pending work uses no memory. */
export class KeyedQueue {
  /** By key, the last work. */
  readonly #last = new Map<string, Promise<unknown>>();

  /**
   * Runs `work` when all earlier work of the key has settled, whether or not that failed.
   * @returns what `work` returns
   */
  async run<R>(key: string, work: () => Promise<R>): Promise<R> {
    const turn = (this.#last.get(key) ?? Promise.resolve()).then(work, work);
    this.#last.set(key, turn);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === turn) this.#last.delete(key);
    }
  }
}
