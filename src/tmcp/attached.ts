/** The sessions whose streams this process holds. Their information is in use, even if they send no requests. */
class Attached {
  /** By session, the number of streams: managers with different backends may have one each. */
  readonly #streams = new Map<string, number>();

  add(id: string): void {
    this.#streams.set(id, (this.#streams.get(id) ?? 0) + 1);
  }

  delete(id: string): void {
    const left = (this.#streams.get(id) ?? 0) - 1;
    if (left > 0) this.#streams.set(id, left);
    else this.#streams.delete(id);
  }

  ids(): string[] {
    return [...this.#streams.keys()];
  }
}

export const attached = new Attached();
