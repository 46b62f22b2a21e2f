import type { ReportError } from './engine/http/exchange.js';

/**
 * Tells the application of an error. What its callback throws is dropped: there is nobody left to tell, and neither the
 * answer that a client waits for nor the process is to end by it.
 */
export function reportTo(onerror: ReportError | undefined, error: Error): void {
  try {
    onerror?.(error);
  } catch {
    // See above.
  }
}
