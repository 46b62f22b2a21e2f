import { createParser } from 'eventsource-parser';
import type { Message } from '../support/clients/rawClient.js';
import { PATIENCE_MS } from './signals.js';

/** An event, or the whole of a JSON body, as it came. */
export interface Received {
  readonly eventId: string | undefined;
  /** Absent in a priming event. */
  readonly message: Message | undefined;
}

/** One HTTP exchange of a client, read as it comes. */
export class Exchange {
  readonly status: number;
  readonly headers: Headers;
  readonly received: Received[] = [];
  /** How the response ended: the server ended it, the client left it, or its connection was cut. */
  ended: 'no' | 'by server' | 'by client' | 'cut' = 'no';
  /** Whether the client has gone, though its connection may be there. */
  left = false;
  readonly #abort: AbortController;
  readonly #onmessage: (message: Message) => void;
  readonly #waiting = new Set<() => void>();

  private constructor(response: Response, abort: AbortController, onmessage: (message: Message) => void) {
    this.status = response.status;
    this.headers = response.headers;
    this.#abort = abort;
    this.#onmessage = onmessage;
    void this.#read(response);
  }

  /** Resolves when the response's head is there. */
  static async start(
    url: string,
    init: RequestInit,
    onmessage: (message: Message) => void = () => {}
  ): Promise<Exchange> {
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new Error(`no answer to ${init.method ?? 'GET'} ${url}`)), PATIENCE_MS);
    try {
      return new Exchange(await fetch(url, { ...init, signal: abort.signal }), abort, onmessage);
    } finally {
      clearTimeout(timer);
    }
  }

  get messages(): Message[] {
    return this.received.flatMap(({ message }) => message ?? []);
  }

  get lastEventId(): string | undefined {
    return this.received.findLast(({ eventId }) => eventId !== undefined)?.eventId;
  }

  get isStream(): boolean {
    return this.headers.get('content-type')?.startsWith('text/event-stream') ?? false;
  }

  /** @throws when the condition does not hold within the patience of tests */
  async until(what: string, condition: () => boolean): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!condition()) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`Waited in vain until ${what}; arrived: ${JSON.stringify(this.received)}`);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left);
        this.#waiting.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  untilEnded(): Promise<void> {
    return this.until('the response ends', () => this.ended !== 'no');
  }

  /** The client reads no more, and its connection stays. */
  leave(): void {
    this.left = true;
  }

  /** The client closes its connection. */
  drop(): void {
    this.left = true;
    this.#abort.abort();
  }

  async #read(response: Response): Promise<void> {
    const parser = createParser({ onEvent: ({ id, data }) => this.#take(id, data) });
    let body = '';
    try {
      for await (const text of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
        if (this.isStream) parser.feed(text);
        else body += text;
      }
      if (body !== '')
        for (const message of [JSON.parse(body) as unknown].flat()) this.#take(undefined, JSON.stringify(message));
      this.ended = 'by server';
    } catch {
      this.ended = this.#abort.signal.aborted ? 'by client' : 'cut';
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  #take(eventId: string | undefined, data: string): void {
    if (this.left) return;
    const message = data === '' ? undefined : (JSON.parse(data) as Message);
    this.received.push({ eventId, message });
    if (message) this.#onmessage(message);
    this.#wake();
  }
}
