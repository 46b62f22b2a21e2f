/**
 * A load balancer within the client's process: a `fetch` that sends each request to the next pod in turn, whatever the
 * request is about. A pod that takes no connection has seen nothing of the request, so the next one gets it.
 */
export class Spread {
  /** What clients are told to connect to. */
  static readonly url = 'http://pods.test/mcp';
  #ports: readonly number[];
  #turn = 0;
  /** Requests without an answer yet, by port. */
  readonly #waiting = new Map<number, Set<Promise<unknown>>>();

  constructor(ports: readonly number[]) {
    this.#ports = ports;
  }

  /** From the next request on, these take turns. */
  setPorts(ports: readonly number[]): void {
    this.#ports = ports;
  }

  /** Settles when every request that went to this pod has the head of its answer. */
  async settled(port: number): Promise<void> {
    await Promise.allSettled([...(this.#waiting.get(port) ?? [])]);
  }

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    const ports = this.#ports;
    const first = this.#turn++;
    for (let i = 0; ; i++) {
      try {
        const port = ports[(first + i) % ports.length]!;
        return await this.#send(port, fetch(`http://127.0.0.1:${port}${pathname}`, init));
      } catch (error) {
        if (!wasRefused(error) || i === ports.length - 1) throw error;
      }
    }
  };

  async #send(port: number, answer: Promise<Response>): Promise<Response> {
    const waiting = this.#waiting.get(port) ?? new Set();
    this.#waiting.set(port, waiting);
    waiting.add(answer);
    try {
      return await answer;
    } finally {
      waiting.delete(answer);
    }
  }
}

function wasRefused(error: unknown): boolean {
  return ((error as Error).cause as { code?: string } | undefined)?.code === 'ECONNREFUSED';
}
