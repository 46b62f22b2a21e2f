import { AnypodError } from './errors.js';
import { performance } from './timers.js';

/** Receives every error that is not thrown to a caller. */
export type ReportError = (error: Error) => void;

/**
 * Reports an error to the application. An error that its callback throws is dropped: nobody is left to report it to, and
 * it must neither cost a client its answer nor end the process.
 */
export function reportTo(onerror: ReportError | undefined, error: Error): void {
  try {
    onerror?.(error);
  } catch {
    // Dropped: see above.
  }
}

const REPEAT_AFTER_MS = 60_000;
/** When each kind of error was last a warning, by `performance.now()`. The kinds are few: codes of this package. */
const warned = new Map<string, number>();

/** What an application without `onerror` gets: a warning for errors of this package. A client's mistakes are none of them. */
export function warnOf(error: Error): void {
  if (error instanceof AnypodError) emitErrorWarning(error, error.code);
}

/** Emits a process warning, unless one of this kind was emitted less than a minute ago. */
export function emitErrorWarning(error: Error, kind: string): void {
  const now = performance.now();
  const last = warned.get(kind);
  if (last !== undefined && now - last < REPEAT_AFTER_MS) return;
  warned.set(kind, now);
  // Not every runtime has it.
  globalThis.process?.emitWarning?.(`${kind}: ${error?.message}. Pass onerror to createMcpHandler to receive errors.`, {
    type: 'AnypodWarning'
  });
}
