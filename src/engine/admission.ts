import { SessionRecordUnreadableError, SessionStoreUnavailableError } from '../errors.js';
import type { SessionData } from '../sessionStore.js';
import type { Exchange, Reply, ReportError } from './exchange.js';
import type { ResolvedOptions } from './options.js';
import { belongsTo } from './principal.js';
import { serviceUnavailable } from './replies.js';
import { isSessionId } from './sessionId.js';

/**
 * Asks the store for the session that a request names, and refreshes it.
 * @param known - the record that the caller holds
 * @returns the record, why there is none for this client, or the answer to give when the store could not tell
 */
export async function findSession(
  sessionId: string,
  exchange: Exchange,
  options: ResolvedOptions,
  report: ReportError,
  known?: SessionData
): Promise<SessionData | 'missing' | 'foreign' | Reply> {
  const { directory } = options;
  if (!directory || !isSessionId(sessionId)) return 'missing';
  try {
    const record = await directory.touch(sessionId, known);
    // Compared after the store has answered: a stranger learns no more from the time it takes than from the answer.
    if (record && !belongsTo(record, principalOf(exchange, options))) return 'foreign';
    return record ?? 'missing';
  } catch (error) {
    return storeFailure(error, report);
  }
}

export function principalOf(exchange: Exchange, options: ResolvedOptions): string | undefined {
  return exchange.authInfo && options.principalOf(exchange.authInfo);
}

/** The answer when the store failed: not now, never "not found". Other errors are thrown on. */
export function storeFailure(error: unknown, report: ReportError): Reply {
  if (error instanceof SessionStoreUnavailableError) {
    report(error);
    return serviceUnavailable('Session store is not available');
  }
  if (error instanceof SessionRecordUnreadableError) {
    report(error);
    return serviceUnavailable('Session cannot be read');
  }
  throw error;
}

export function isReply(value: object): value is Reply {
  return 'status' in value;
}
