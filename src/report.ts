import { AnypodError } from './errors.js';
import { messageOf } from './log.js';
import { processWarning } from './runtime.js';
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
 * When a warning with each code was last emitted, by `performance.now()`. There are few: the codes of this package.
 */
const warned = new Map<string, number>();

/** How an application that has no `onerror` can receive errors. */
const REMEDIES = {
  handler: 'Pass onerror to createMcpHandler to receive errors.',
  transport: "Set the transport's onerror before connect to receive errors."
};

/** The default of `onerror`: a warning for errors of this package. Mistakes of clients are not such errors. */
export function warnOf(error: Error, where: keyof typeof REMEDIES = 'handler'): void {
  if (error instanceof AnypodError) warnOncePerMinute(error.code, `${error.message}. ${REMEDIES[where]}`);
}

/** The default for a server that could not be built: the server factory has thrown, or its server did not connect. */
export function warnOfServer(thrown: unknown): void {
  if (thrown instanceof AnypodError) return warnOf(thrown);
  warnOncePerMinute('ANYPOD_SERVER_FACTORY', `serverFactory failed: ${messageOf(thrown)}. ${REMEDIES.handler}`);
}

/** Emits a process warning, unless one with this code was emitted less than a minute ago. */
export function warnOncePerMinute(code: string, message: string): void {
  const now = performance.now();
  const last = warned.get(code);
  if (last !== undefined && now - last < REPEAT_AFTER_MS) return;
  warned.set(code, now);
  emitWarning(code, message);
}

/** Emits a process warning, where there are such warnings: some runtimes do not have them. */
export function emitWarning(code: string, message: string): void {
  processWarning(message, { type: 'AnypodWarning', code });
}
