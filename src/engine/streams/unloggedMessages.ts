/** How many messages are remembered per connection, and the maximum length of one, in characters. */
const MAX_REMEMBERED = 100;
const MAX_LENGTH = 10_000;

/** Messages that a client received without an event id because the log was late. The log may still return the ids. */
export class UnloggedMessages {
  readonly #messages: { event: string; cursors: number }[] = [];

  /**
   * @param event - the message as it was written
   * @param cursors - the number of ids sent to the client before it
   */
  add(event: string, cursors: number): void {
    if (event.length > MAX_LENGTH) return;
    this.#messages.push({ event, cursors });
    if (this.#messages.length > MAX_REMEMBERED) this.#messages.shift();
  }

  /** Forgets a message. @returns the number of ids sent to the client before it; undefined if it is not known */
  take(event: string): number | undefined {
    const index = this.#messages.findIndex(message => message.event === event);
    return index < 0 ? undefined : this.#messages.splice(index, 1)[0]!.cursors;
  }
}
