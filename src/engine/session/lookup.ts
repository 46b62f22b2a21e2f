import type { SessionData } from '../../ports/sessionStore.js';
import type { SessionDirectory } from './storeAccess.js';
import { type Exchange, type Reply, waitsOf } from '../http/exchange.js';
import type { WaitBudget } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import type { ResolvedOptions } from '../options.js';
import { belongsTo, isInNamespace } from './principal.js';
import { storeFailure } from '../http/replies.js';
import { isSessionId } from '../../ports/sessionId.js';
import { performance } from '../../timers.js';

/** What the caller has of a session already. */
export interface KnownSession {
  /** The record as it was last read. */
  readonly record: SessionData | undefined;
  /** The record, where it is fresh enough to go on with; the store is then asked in the background. */
  trusted(): SessionData | undefined;
  /** How many changes of this pod's own have begun or ended. */
  readonly ownChanges: number;
  /**
   * The store has answered.
   * @param askedAt - when it was asked, by `performance.now()`
   * @param ownChanges - how many there were then
   * @returns the record to go on with
   */
  confirmed(record: SessionData, askedAt: number, ownChanges: number): SessionData;
}

/**
 * Asks the store for the session that a request names, and refreshes it.
 * @param known - what the caller has of it
 * @returns the record, why there is none for this client, or the answer to give when the store could not tell
 */
export async function findSession(
  sessionId: string,
  exchange: Exchange,
  options: ResolvedOptions,
  report: ReportError,
  known?: KnownSession
): Promise<SessionData | 'missing' | 'foreign' | Reply> {
  const { directory } = options;
  if (!directory || !isSessionId(sessionId)) return 'missing';
  try {
    // The end of a session trusts nobody: what is read beside it would find it gone.
    const trusted = exchange.method === 'DELETE' ? undefined : known?.trusted();
    const principal = principalOf(exchange, options);
    const isOurs = (record: SessionData): boolean =>
      belongsTo(record, principal) && isInNamespace(record, options.namespace);
    if (trusted && isOurs(trusted)) return trusted;
    // A stranger waits for the store in any case: the time that it takes tells no more than the answer.
    const record = await ask(directory, sessionId, known, waitsOf(exchange, options));
    if (!record) return 'missing';
    return isOurs(record) ? record : 'foreign';
  } catch (error) {
    return storeFailure(error, report);
  }
}

async function ask(
  directory: SessionDirectory,
  sessionId: string,
  known: KnownSession | undefined,
  waits: WaitBudget
): Promise<SessionData | null> {
  const askedAt = performance.now();
  const ownChanges = known?.ownChanges ?? 0;
  const record = await directory.touch(sessionId, known?.record, waits);
  return record && known ? known.confirmed(record, askedAt, ownChanges) : record;
}

export function principalOf(exchange: Exchange, options: ResolvedOptions): string | undefined {
  return exchange.authInfo && options.principalOf(exchange.authInfo);
}
