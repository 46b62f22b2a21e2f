import { SlowClientError } from '../errors.js';
import { unref } from '../deadline.js';
import { clearTimeout, setTimeout } from '../timers.js';

/** Writers wait for it until the client has read the sent data. */
export interface Drain {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export function awaitDrain(): Drain {
  let resolve!: () => void;
  const promise = new Promise<void>(done => (resolve = done));
  return { promise, resolve };
}

/** Up to this size, the unread rest of a complete answer is not watched. */
const MAX_UNWATCHED_BYTES = 64 * 1024;
/**
 * How long a client may take to read the rest of a complete answer, and how much it must read per millisecond after
 * that.
 */
const UNREAD_MS = 30_000;
const BYTES_PER_MS = 128;

/**
 * Watches a client after its whole answer was sent. No later write can detect that it does not read, so the unread data
 * would be kept until its connection ends.
 * @param bytes - the number of unread bytes
 * @param disconnect - disconnects the client
 * @returns a function that ends the watch; undefined if there is nothing to watch
 */
export function limitUnread(bytes: number, disconnect: (reason: SlowClientError) => void): (() => void) | undefined {
  if (!(bytes > MAX_UNWATCHED_BYTES)) return undefined;
  const problem = `The client did not read its answer, of which ${bytes} bytes were left`;
  const timer = setTimeout(() => disconnect(new SlowClientError(problem)), UNREAD_MS + bytes / BYTES_PER_MS);
  unref(timer);
  return () => clearTimeout(timer);
}
