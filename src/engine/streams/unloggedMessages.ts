/** Messages that are remembered of a connection, and how long one may be, in characters. */
const MAX_REMEMBERED = 100;
const MAX_LENGTH = 10_000;

/** What a client has had without an event id, because the log was late: the log may still tell the ids. */
export class UnloggedMessages {
  readonly #messages: { event: string; cursors: number }[] = [];

  /**
   * @param event - the message as it was written
   * @param cursors - how many ids the client had been given by then
   */
  add(event: string, cursors: number): void {
    if (event.length > MAX_LENGTH) return;
    this.#messages.push({ event, cursors });
    if (this.#messages.length > MAX_REMEMBERED) this.#messages.shift();
  }

  /** Forgets a message. @returns how many ids the client had been given before it; undefined if it is not known */
  take(event: string): number | undefined {
    const index = this.#messages.findIndex(message => message.event === event);
    return index < 0 ? undefined : this.#messages.splice(index, 1)[0]!.cursors;
  }
}
