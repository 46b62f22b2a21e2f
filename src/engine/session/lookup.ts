import type { SessionData, SessionOwner } from '../../ports/sessionStore.js';
import type { StoreAccess } from './storeAccess.js';
import { type Exchange, type Reply, waitsOf } from '../http/exchange.js';
import type { WaitBudget } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import type { ResolvedOptions } from '../options.js';
import { belongsTo, isInNamespace } from './principal.js';
import type { ParsedRequest } from '../http/parseRequest.js';
import { INVALID_REQUEST, refuse, refuseNotFound, storeFailure } from '../http/replies.js';
import { isSessionId } from '../../ports/sessionId.js';
import { performance } from '../../timers.js';

/** What this pod already knows about a session. */
export interface KnownSession {
  /** The record from the last read. */
  readonly record: SessionData | undefined;
  /** The record if it is fresh enough to continue without the store. Then the store is asked in the background. */
  freshRecord(): SessionData | undefined;
  /** How many changes by this pod have begun or ended. */
  readonly ownChangeCount: number;
  /**
   * Records the store's answer.
   * @param askedAt - the time of the call, by `performance.now()`
   * @param ownChangeCount - the number of own changes at that time
   * @returns the record to continue with
   */
  confirmed(record: SessionData, askedAt: number, ownChangeCount: number): SessionData;
}

/** The result of a look-up if the exchange may continue. */
export type Admitted =
  /** The exchange opens a session. */
  | { readonly kind: 'opens' }
  /** The store was not asked: memory mode, or a request without a session id. The state of this process decides. */
  | { readonly kind: 'local' }
  /** The store has the session, and the client may use it. */
  | { readonly kind: 'stored'; readonly record: SessionData };

/** The part of a transport or handler that a look-up needs. */
export interface LookupHost {
  readonly options: ResolvedOptions;
  readonly report: ReportError;
  /** Forgets the session on this pod: the store does not have it. */
  onMissing(sessionId: string): Promise<void> | undefined;
  /** Informs the other pods that the session has ended. */
  announceEnded(sessionId: string): void;
}

const OPENS: Admitted = { kind: 'opens' };
const LOCAL: Admitted = { kind: 'local' };

/**
 * Decides whether the session of an exchange exists for its client. In external mode it asks the store, which also
 * refreshes the session.
 * @param known - what this pod knows about the session
 * @returns the reply if the exchange may not continue: 404, 503 if the store failed, 400 if it would open a second
 *   session
 */
export function lookUp(
  host: LookupHost,
  exchange: Exchange,
  parsed: ParsedRequest,
  known?: KnownSession
): Admitted | Reply | Promise<Admitted | Reply> {
  const opens = parsed.kind === 'post' && parsed.initialize !== undefined;
  const sessionId = exchange.header('mcp-session-id');
  if (!host.options.storeAccess || !sessionId) return opens ? OPENS : LOCAL;
  return lookUpStored(host, exchange, host.options.storeAccess, sessionId, opens, known);
}

async function lookUpStored(
  host: LookupHost,
  exchange: Exchange,
  storeAccess: StoreAccess,
  sessionId: string,
  opens: boolean,
  known: KnownSession | undefined
): Promise<Admitted | Reply> {
  const { report } = host;
  let found: Found;
  try {
    found = await find(host.options, exchange, storeAccess, sessionId, opens, known);
  } catch (error) {
    return storeFailure(error, report);
  }
  if (found === 'missing') {
    await host.onMissing(sessionId);
    // The message of the pod that ended the session may be lost, so this is announced again. Not awaited: a longer reply
    // would show that the session does not exist, and is not another client's.
    if (exchange.method === 'DELETE' && isSessionId(sessionId)) host.announceEnded(sessionId);
  } else if (found !== 'other-owner') {
    if (!opens && found !== 'same-owner') return { kind: 'stored', record: found };
    return refuse(report, 400, INVALID_REQUEST, 'Invalid Request: Server already initialized');
  }
  // A client whose session has ended may send the old id with a new `initialize`.
  return opens ? OPENS : refuseNotFound(report, found === 'other-owner' ? 'other-owner' : 'not-found');
}

/** The store's answer for one client: the record, or only whether the session exists and belongs to the client. */
type Found = SessionData | 'same-owner' | 'other-owner' | 'missing';

/** Asks for the owner first if the session may belong to another client: reading the record may cost much more. */
async function find(
  options: ResolvedOptions,
  exchange: Exchange,
  storeAccess: StoreAccess,
  sessionId: string,
  opens: boolean,
  known: KnownSession | undefined
): Promise<Found> {
  if (!isSessionId(sessionId)) return 'missing';
  const waits = waitsOf(exchange, options);
  const principal = principalOf(exchange, options);
  const hasSameOwner = (owner: SessionOwner | undefined): boolean =>
    belongsTo(owner, principal) && isInNamespace(owner, options.namespace);
  const isKnown = known?.record !== undefined && hasSameOwner(known.record.metadata?.mcp);
  // Without a principal this early check costs a round trip and rarely finds anything: the record is checked below.
  if (opens || (principal !== undefined && !isKnown)) {
    const owner = await storeAccess.owner(sessionId, waits);
    if (owner === null) return 'missing';
    if (owner && !hasSameOwner(owner)) return 'other-owner';
    if (owner && opens) return 'same-owner';
  }
  // DELETE never skips the store: a concurrent background read would report the session missing.
  const fresh = isKnown && exchange.method !== 'DELETE' ? known.freshRecord() : undefined;
  const record = fresh ?? (await ask(storeAccess, sessionId, known, waits));
  if (!record) return 'missing';
  return hasSameOwner(record.metadata?.mcp) ? record : 'other-owner';
}

async function ask(
  storeAccess: StoreAccess,
  sessionId: string,
  known: KnownSession | undefined,
  waits: WaitBudget
): Promise<SessionData | null> {
  const askedAt = performance.now();
  const ownChangeCount = known?.ownChangeCount ?? 0;
  const record = await storeAccess.touch(sessionId, known?.record, waits);
  return record && known ? known.confirmed(record, askedAt, ownChangeCount) : record;
}

export function principalOf(exchange: Exchange, options: ResolvedOptions): string | undefined {
  return exchange.authInfo && options.principalOf(exchange.authInfo);
}
