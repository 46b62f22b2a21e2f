import { createInterface } from 'node:readline/promises';
import { createMcpHandler } from '../server/createMcpHandler.js';
import type { Invocation } from './command.js';
import type { OpenedStorage } from './openStorage.js';
import { shownId } from './sessionView.js';
import { CommandError, EXIT, UsageError } from './usage.js';

/** Sessions that are ended at the same time. */
const CONCURRENCY = 20;

/** Ends sessions for every pod, as `terminateSession` of a handler does. */
export async function endSessions(
  { store, bus, eventStore }: OpenedStorage,
  ids: readonly string[],
  asks: boolean,
  { values, streams, print, json, signal }: Invocation
): Promise<number> {
  if (asks && values.yes !== true) await confirm(ids.length, streams.stdout.isTTY === true, signal);
  const reported: Error[] = [];
  const handler = createMcpHandler(
    () => {
      throw new Error('This handler serves no requests');
    },
    { sessionStore: store, sessionBus: bus, eventStore, onerror: error => void reported.push(error) }
  );
  let ended = 0;
  let failure: Error | undefined;
  for (let i = 0; i < ids.length && !signal.aborted; i += CONCURRENCY) {
    const some = ids.slice(i, i + CONCURRENCY);
    const outcomes = await Promise.allSettled(some.map(id => handler.terminateSession(id)));
    for (const [index, outcome] of outcomes.entries()) {
      if (outcome.status === 'rejected') failure = outcome.reason as Error;
      else {
        ended++;
        if (!json) print(`session ${shownId(some[index] as string, values.full === true)} ended`);
      }
    }
  }
  const told = bus !== undefined && reported.length === 0;
  if (json) print(JSON.stringify({ ended, of: ids.length, podsTold: told }));
  if (!told) {
    const reason = bus ? (reported[0]?.message ?? '') : 'files have no bus';
    streams.stderr.write(`The pods were not told (${reason}): they notice within 20 seconds.\n`);
  }
  if (failure) throw new CommandError(`${ended} of ${ids.length} ended: ${failure.message}`, EXIT.unusable);
  return EXIT.ok;
}

/** @throws UsageError without a terminal, CommandError if the answer is no */
async function confirm(count: number, isTerminal: boolean, signal: AbortSignal): Promise<void> {
  const what = `${count} session${count === 1 ? '' : 's'}`;
  if (!isTerminal || !process.stdin.isTTY) throw new UsageError(`${what} would be ended: give --yes to end them`);
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await lines.question(`End ${what} for every pod? [y/N] `, { signal });
    if (/^y(es)?$/i.test(answer.trim())) return;
  } catch {
    // Ctrl-C.
  } finally {
    lines.close();
  }
  throw new CommandError('nothing was ended');
}
