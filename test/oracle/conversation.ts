/** Wakes whoever waits for something to have happened: every recorder calls `notify`. */
export class Signal {
  readonly #waiters = new Set<() => void>();

  /** What is going on is let finish first: who notifies may be half way through it. */
  notify(): void {
    queueMicrotask(() => {
      for (const wake of [...this.#waiters]) wake();
    });
  }

  /** @returns false when it has not happened within the time */
  until(happened: () => boolean, withinMs: number): Promise<boolean> {
    if (happened()) return Promise.resolve(true);
    return new Promise(resolve => {
      const finish = (value: boolean): void => {
        clearTimeout(timer);
        this.#waiters.delete(wake);
        resolve(value);
      };
      const wake = (): void => {
        if (happened()) finish(true);
      };
      const timer = setTimeout(() => finish(false), withinMs);
      timer.unref();
      this.#waiters.add(wake);
    });
  }
}

/** One exchange as the client and the host of the transport see it. */
export class Conversation {
  status: number | undefined;
  headers: [string, string][] = [];
  /** `end`: complete. `cut`: the connection was lost. `aborted`: by the client. */
  ended: 'no' | 'end' | 'cut' | 'aborted' = 'no';
  /** What became of the promise of handleRequest. */
  handled: string | undefined;
  /** The server has seen the end of the connection. */
  serverClosed = false;
  /** How the client's side cuts the connection. */
  oncut: () => void = () => {};
  readonly #chunks: Uint8Array[] = [];

  /** Ends the exchange from the client's side, unless it has ended. */
  abort(): void {
    if (this.ended !== 'no') return;
    this.ended = 'aborted';
    this.oncut();
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
  }

  get body(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }

  get isStream(): boolean {
    return this.headers.some(([name, value]) => name.toLowerCase() === 'content-type' && /event-stream/.test(value));
  }

  get isComplete(): boolean {
    return this.ended !== 'no' && this.handled !== undefined;
  }
}
