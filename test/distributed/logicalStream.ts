import type { Message } from '../support/clients/rawClient.js';
import type { Exchange, Received } from './wire.js';

/** A stream as the client knows it: the connections that it had on it, one after another. */
export class LogicalStream {
  readonly parts: Exchange[];

  constructor(first: Exchange) {
    this.parts = [first];
  }

  attach(exchange: Exchange): void {
    this.parts.push(exchange);
  }

  /** The connection that the client has now, or had last. */
  get part(): Exchange {
    return this.parts.at(-1) as Exchange;
  }

  get received(): Received[] {
    return this.parts.flatMap(part => part.received);
  }

  get messages(): Message[] {
    return this.received.flatMap(({ message }) => message ?? []);
  }

  /** Where it can be resumed. */
  get cursor(): string | undefined {
    return this.parts.findLast(part => part.lastEventId !== undefined)?.lastEventId;
  }

  /** How many events came more than once. */
  get duplicates(): number {
    const ids = this.received.flatMap(({ eventId, message }) => (message && eventId !== undefined ? eventId : []));
    return ids.length - new Set(ids).size;
  }

  /** @throws when it does not hold within the patience of tests */
  until(what: string, condition: (messages: Message[]) => boolean): Promise<void> {
    return this.part.until(what, () => condition(this.messages));
  }

  untilAnswered(id: string | number): Promise<void> {
    return this.until('the answer is there', messages => messages.some(each => each.id === id && !each.method));
  }
}
