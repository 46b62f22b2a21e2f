import type { StreamWriter } from '../engine/http/exchange.js';
import { clearTimeout, setImmediate, setTimeout } from '../timers.js';

/** How long the head of a response waits for the event log to store the first message. */
const MAX_HEAD_DELAY_MS = 10;

/**
 * Settles when the head of an event stream should be sent: at the end of the turn of the event loop, and a moment later if a
 * message is on its way to the event log. An answer that is complete by then needs no stream.
 */
export async function firstWriteDue(sink: {
  readonly ended: boolean;
  readonly writer: StreamWriter | undefined;
}): Promise<void> {
  await endOfTurn();
  const next = sink.ended ? undefined : sink.writer?.nextMessage;
  if (next) await atMost(next, MAX_HEAD_DELAY_MS);
}

/**
 * Settles after the event loop has processed all data that was ready to read. So answers of the same turn are written
 * directly one after the other, and that costs the system far less.
 */
export function endOfTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}

/** Settles with the promise, or after this time. */
function atMost(promise: Promise<unknown>, timeoutMs: number): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, timeoutMs);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    promise.then(done, done);
  });
}
