import { AnypodError } from './errors.js';
import { performance } from './timers.js';

/** Receives every error that is not thrown to a caller. */
export type ReportError = (error: Error) => void;

/**
 * Reports an error to the application. An error that its callback throws is dropped: it cannot be reported, and it must
 * not end the process or lose a client's answer.
 */
export function reportTo(onerror: ReportError | undefined, error: Error): void {
  try {
    onerror?.(error);
  } catch {
    // Dropped: see above.
  }
}

const REPEAT_AFTER_MS = 60_000;
/**
 * When a warning of each kind was last emitted, by `performance.now()`. There are few kinds: the codes of this package.
 */
const warned = new Map<string, number>();

/** The default of `onerror`: a warning for errors of this package. Mistakes of clients are not such errors. */
export function warnOf(error: Error): void {
  if (error instanceof AnypodError) emitErrorWarning(error, error.code);
}

/** Emits a process warning, unless one of this kind was emitted less than a minute ago. */
export function emitErrorWarning(error: Error, kind: string): void {
  const now = performance.now();
  const last = warned.get(kind);
  if (last !== undefined && now - last < REPEAT_AFTER_MS) return;
  warned.set(kind, now);
  // Some runtimes do not have it.
  globalThis.process?.emitWarning?.(`${kind}: ${error?.message}. Pass onerror to createMcpHandler to receive errors.`, {
    type: 'AnypodWarning'
  });
}
