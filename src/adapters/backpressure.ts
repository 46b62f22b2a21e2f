import { SlowClientError } from '../errors.js';
import { unref } from '../deadline.js';
import { clearTimeout, setTimeout } from '../timers.js';

/** Writers wait on it until the client has read what it was sent. */
export interface Room {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export function awaitedRoom(): Room {
  let resolve!: () => void;
  const promise = new Promise<void>(done => (resolve = done));
  return { promise, resolve };
}

/** What is left unread of a complete answer is not watched up to this size. */
const MAX_UNWATCHED_BYTES = 64 * 1024;
/** How long a client may take to read the rest of a complete answer, and what it must read a millisecond beyond that. */
const UNREAD_MS = 30_000;
const BYTES_PER_MS = 128;

/**
 * Watches a client that has been sent its whole answer. No next message shows that it does not read, so what it leaves
 * unread would be held for as long as its connection lives.
 * @param bytes - what it has not read yet
 * @param cut - disconnects it
 * @returns calls the watch off; undefined if there is nothing to watch
 */
export function limitUnread(bytes: number, cut: (reason: SlowClientError) => void): (() => void) | undefined {
  if (!(bytes > MAX_UNWATCHED_BYTES)) return undefined;
  const problem = `The client did not read its answer, of which ${bytes} bytes were left`;
  const timer = setTimeout(() => cut(new SlowClientError(problem)), UNREAD_MS + bytes / BYTES_PER_MS);
  unref(timer);
  return () => clearTimeout(timer);
}
