import type { Random } from '../soak/random.js';
import type { SimPod } from './pod.js';
import type { World } from './world.js';

const URL = 'http://mcp.example/mcp';

export interface Outgoing {
  readonly method: 'POST' | 'GET' | 'DELETE';
  readonly headers: Record<string, string>;
  readonly body?: string;
}

/** What a client is told of one exchange. Exactly one of `ended` and `cut` comes last, unless the client has left. */
export interface Receiver {
  head(status: number, headers: Headers): void;
  text(chunk: string): void;
  /** The response is complete. */
  ended(): void;
  /** The connection broke, or was never made. */
  cut(): void;
}

/** One exchange on a connection of its own: in each direction in order, with a delay, until something cuts it. */
export class HttpCall {
  readonly pod: SimPod;
  readonly sentAt: number;
  /** The status of the response, after its head has arrived. */
  status: number | undefined;
  readonly #world: World;
  readonly #random: Random;
  readonly #receiver: Receiver;
  readonly #abort = new AbortController();
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #lastArrival = 0;
  #over = false;

  constructor(world: World, random: Random, pod: SimPod, outgoing: Outgoing, receiver: Receiver) {
    this.#world = world;
    this.#random = random;
    this.pod = pod;
    this.sentAt = world.now;
    this.#receiver = receiver;
    world.after(random.between(1, 10), () => {
      if (pod.process.dead) this.#deliver(() => this.#receiver.cut(), true);
      else pod.process.enter(() => void this.#serve(outgoing));
    });
  }

  get over(): boolean {
    return this.#over;
  }

  /** The client goes away; the pod learns of it a little later. */
  leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.#world.after(this.#random.between(1, 10), () => this.#hangUp());
  }

  /** Something between the two cuts the connection: both learn of it, each in its time; the pod sometimes much later. */
  cut(): void {
    if (this.#over) return;
    this.#over = true;
    this.#world.after(this.#random.between(1, 50), () => this.#receiver.cut());
    const isHalfOpen = this.#random.chance(0.3);
    this.#world.after(this.#random.between(1, isHalfOpen ? 5000 : 200), () => this.#hangUp());
  }

  #hangUp(): void {
    this.pod.process.enter(() => {
      this.#abort.abort();
      void this.#reader?.cancel().catch(() => {});
    });
  }

  async #serve({ method, headers, body }: Outgoing): Promise<void> {
    const decoder = new TextDecoder();
    try {
      const request = new Request(URL, { method, headers, body: body ?? null, signal: this.#abort.signal });
      const response = await this.pod.handler.fetch(request);
      // A runtime cancels a body that nobody reads any more.
      if (this.#abort.signal.aborted) return void (await response.body?.cancel());
      this.#deliver(() => {
        this.status = response.status;
        this.#receiver.head(response.status, response.headers);
      });
      this.#reader = response.body?.getReader();
      for (;;) {
        const read = await this.#reader?.read();
        if (!read || read.done) break;
        const text = decoder.decode(read.value, { stream: true });
        this.#deliver(() => this.#receiver.text(text));
      }
      this.#deliver(() => this.#receiver.ended(), true);
    } catch (error) {
      this.#world.note(() => `${this.pod.name} broke a response: ${String(error)}`);
      this.#deliver(() => this.#receiver.cut(), true);
    }
  }

  #deliver(tell: () => void, isLast = false): void {
    const at = Math.max(this.#world.now + this.#random.between(1, 10), this.#lastArrival);
    this.#lastArrival = at;
    this.#world.after(at - this.#world.now, () => {
      if (this.#over) return;
      if (isLast) this.#over = true;
      tell();
    });
  }
}
