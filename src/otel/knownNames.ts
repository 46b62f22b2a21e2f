/** The value of an attribute that is not shown, as the semantic conventions name it. */
export const OTHER = '_OTHER';

/** How many names become attributes. A client can send any name, and each one would be a new time series. */
const MAX_NAMES = 200;

/** Names of methods and tools that are known to exist, because a request for them has succeeded. */
export class KnownNames {
  readonly #names = new Set<string>();

  /** @param exists - whether the server has answered a request for it without an error */
  nameOf(name: string, exists: boolean): string {
    if (this.#names.has(name)) return name;
    if (!exists || this.#names.size >= MAX_NAMES) return OTHER;
    this.#names.add(name);
    return name;
  }
}
