/** How long whoever waits for something in a test waits before it gives up. */
export const PATIENCE_MS = 8000;

/** Things that happen once, and those who wait for them. */
export class Signals {
  readonly #happened = new Map<string, string>();
  readonly #waiting = new Map<string, (() => void)[]>();

  set(name: string, what = 'yes'): void {
    this.#happened.set(name, what);
    this.#waiting.get(name)?.forEach(wake => wake());
    this.#waiting.delete(name);
  }

  /** What happened, or 'never' when it did not within the patience of tests. */
  async wait(name: string): Promise<string> {
    if (!this.#happened.has(name)) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, PATIENCE_MS / 2);
        const wake = (): void => {
          clearTimeout(timer);
          resolve();
        };
        this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), wake]);
      });
    }
    return this.#happened.get(name) ?? 'never';
  }
}
