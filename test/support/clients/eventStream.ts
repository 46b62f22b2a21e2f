import { createParser } from 'eventsource-parser';
import type { Message } from './rawClient.js';

/** An event as it came. */
export interface ReceivedEvent {
  id: string | undefined;
  /** Absent in a priming event. */
  message: Message | undefined;
}

/** One SSE response, event by event. */
export class EventStream {
  readonly status: number;
  readonly events: ReceivedEvent[] = [];
  /** Whether the server has ended it. */
  ended = false;
  readonly #abort: AbortController;
  #wake: () => void = () => {};

  private constructor(response: Response, abort: AbortController) {
    this.status = response.status;
    this.#abort = abort;
    void this.#read(response);
  }

  static async open(url: string, init: RequestInit): Promise<EventStream> {
    const abort = new AbortController();
    return new EventStream(await fetch(url, { ...init, signal: abort.signal }), abort);
  }

  get messages(): Message[] {
    return this.events.flatMap(event => event.message ?? []);
  }

  get lastEventId(): string | undefined {
    return this.events.findLast(event => event.id !== undefined)?.id;
  }

  /** Waits until the condition holds. @throws after `timeoutMs`, with what has arrived */
  async until(condition: () => boolean, timeoutMs = 10_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!condition()) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`not within ${timeoutMs} ms; arrived: ${JSON.stringify(this.events)}`);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async untilEnded(timeoutMs?: number): Promise<void> {
    await this.until(() => this.ended, timeoutMs);
  }

  /** Drops the connection, as a client that loses its network. */
  drop(): void {
    this.#abort.abort();
  }

  async #read(response: Response): Promise<void> {
    const parser = createParser({
      onEvent: ({ id, data }) => {
        this.events.push({ id, message: data === '' ? undefined : (JSON.parse(data) as Message) });
        this.#wake();
      }
    });
    try {
      for await (const text of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
        parser.feed(text);
      }
      this.ended = true;
    } catch {
      // Dropped by this client, or cut by the server's death.
    }
    this.#wake();
  }
}
