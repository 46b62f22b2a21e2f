import { MARK } from './application.js';
import { LogicalStream } from './logicalStream.js';
import type { Exchange } from './wire.js';

/** The client's GET stream: which connection it has, what it still waits for, and the streams that it had before. */
export class Standalone {
  /** What has come, by stream: a fresh GET begins a new one, a resumed one goes on. */
  readonly streams: LogicalStream[] = [];
  /** The pod that it is attached to. */
  pod: number | undefined;
  /** Connections that the client has left and that the server may still know. */
  #left: Exchange[] = [];
  /** Marks that must come. */
  #due: string[] = [];

  get current(): LogicalStream | undefined {
    return this.streams.at(-1);
  }

  get attached(): boolean {
    return this.pod !== undefined;
  }

  /** One process with the stock SDK gives none before the first message, so an earlier one is not used. */
  get cursor(): string | undefined {
    const { current } = this;
    return current && current.messages.length > 0 ? current.cursor : undefined;
  }

  /** Whether the client has left a connection, which the server may not have noticed. */
  get hasLeft(): boolean {
    return this.#left.length > 0;
  }

  /** A fresh stream: what the client missed before is lost. */
  open(exchange: Exchange, pod: number): void {
    this.streams.push(new LogicalStream(exchange));
    this.#due = [];
    this.pod = pod;
  }

  resume(exchange: Exchange, pod: number): void {
    this.current?.attach(exchange);
    this.pod = pod;
  }

  leave(how: 'drop' | 'half-open'): void {
    const exchange = this.current?.part;
    if (!exchange || !this.attached) return;
    if (how === 'drop') exchange.drop();
    else exchange.leave();
    this.#left.push(exchange);
    this.pod = undefined;
  }

  /** Everything that the client has left is ended by the server, once it is back or the session is gone. */
  async untilLeftEnded(): Promise<void> {
    await Promise.all(this.#left.splice(0).map(exchange => exchange.untilEnded()));
  }

  async untilEnded(): Promise<void> {
    if (this.attached) await this.current?.part.untilEnded();
    this.pod = undefined;
  }

  /** A call has said something; its mark comes, now or when the client is back. */
  expect(label: string): void {
    if (this.attached || this.cursor !== undefined) this.#due.push(label);
  }

  async settle(): Promise<void> {
    const { current } = this;
    if (!this.attached || !current) return;
    const marked = (label: string): boolean =>
      current.messages.some(({ method, params }) => method === MARK && params?.label === label);
    await current.part.until(`these were told: ${this.#due.join()}`, () => this.#due.every(marked));
    this.#due = [];
  }
}
