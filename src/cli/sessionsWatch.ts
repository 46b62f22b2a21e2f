import { Date, clearTimeout, setTimeout } from '../timers.js';
import type { Invocation } from './command.js';
import type { OpenedStorage } from './openStorage.js';
import { duration, type Listed, type Selector, sessionsIn } from './sessionList.js';
import { sessionJson, sessionRow, shownId } from './sessionView.js';
import { CommandError, EXIT } from './usage.js';

const DEFAULT_INTERVAL_MS = 2000;
/** Each look reads every record that fits, so it must not be a load for the store. */
const MAX_SESSIONS = 5000;

/** Prints a line for each session that is there, is opened or ends, until it is interrupted. */
export async function watchSessions(
  { store }: OpenedStorage,
  selector: Selector,
  { values, print, json, signal }: Invocation
): Promise<number> {
  const intervalMs = duration('interval', values.interval as string | undefined) ?? DEFAULT_INTERVAL_MS;
  const full = values.full === true;
  let known: Map<string, Listed> | undefined;
  const tell = (event: string, listed: Listed): void => {
    const time = new Date().toISOString();
    if (json) return print(JSON.stringify({ time, event, ...sessionJson(listed, full) }));
    const [, ...columns] = sessionRow(listed, full);
    print([time.slice(11, 19), event.padEnd(6), shownId(listed.id, full), ...columns].join('   '));
  };
  while (!signal.aborted) {
    const now = new Map<string, Listed>();
    for await (const listed of sessionsIn(store, selector)) {
      now.set(listed.id, listed);
      if (now.size > MAX_SESSIONS) {
        throw new CommandError(`more than ${MAX_SESSIONS} sessions fit: watch those of a --principal, or use top`);
      }
    }
    for (const [id, listed] of now) if (!known?.has(id)) tell(known ? 'opened' : 'there', listed);
    for (const [id, listed] of known ?? []) if (!now.has(id)) tell('ended', listed);
    known = now;
    await untilNext(intervalMs, signal);
  }
  return EXIT.ok;
}

/** Settles after the time, or when the signal is aborted. */
export function untilNext(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}
