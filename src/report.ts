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
