import type { SessionData, SessionOwner } from '../../ports/sessionStore.js';
import type { StoreAccess } from './storeAccess.js';
import { type Exchange, type Reply, waitsOf } from '../http/exchange.js';
import type { WaitBudget } from '../../deadline.js';
import type { ReportError } from '../../report.js';
import type { ResolvedOptions } from '../options.js';
import { belongsTo, isInNamespace } from './principal.js';
import type { Intake } from '../http/parseRequest.js';
import { INVALID_REQUEST, refuse, refuseNotFound, storeFailure } from '../http/replies.js';
import { isSessionId } from '../../ports/sessionId.js';
import { performance } from '../../timers.js';

/** What this pod has of a session already. */
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

/** What the look-up of an exchange's session has found, if the exchange may go on. */
export type Admitted =
  /** It opens a session. */
  | { readonly kind: 'opens' }
  /** The store was not asked: memory mode, or a request that names no session. What this process holds decides. */
  | { readonly kind: 'local' }
  /** The store has the session, and the client may use it. */
  | { readonly kind: 'stored'; readonly record: SessionData };

/** What a look-up needs of the transport, or of the handler, that it is made for. */
export interface LookupHost {
  readonly options: ResolvedOptions;
  readonly report: ReportError;
  /** The store does not have the session: forgets what this pod holds for it. */
  onMissing(sessionId: string): Promise<void> | undefined;
  /** Tells the other pods that the session has ended. */
  tellEnded(sessionId: string): void;
}

const OPENS: Admitted = { kind: 'opens' };
const LOCAL: Admitted = { kind: 'local' };

/**
 * Decides whether the session that an exchange names exists for its client. In external mode the store is asked, and
 * refreshes the session.
 * @param known - what this pod has of the session
 * @returns the reply if the exchange may not go on: 404, 503 if the store failed, 400 if it would open a second session
 */
export function lookUp(
  host: LookupHost,
  exchange: Exchange,
  intake: Intake,
  known?: KnownSession
): Admitted | Reply | Promise<Admitted | Reply> {
  const opens = intake.kind === 'post' && intake.initialize !== undefined;
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
    // The pod that ended it may have had no way to tell the others. Not awaited: the reply takes as long as for a session of
    // another client.
    if (exchange.method === 'DELETE' && isSessionId(sessionId)) host.tellEnded(sessionId);
  } else if (found !== 'foreign') {
    if (!opens && found !== 'ours') return { kind: 'stored', record: found };
    return refuse(report, 400, INVALID_REQUEST, 'Invalid Request: Server already initialized');
  }
  // A client whose session is gone may send its old id when it starts over.
  return opens ? OPENS : refuseNotFound(report);
}

/** What the store says of a session to a client: its record, or as much as the client may know, or needs to. */
type Found = SessionData | 'ours' | 'foreign' | 'missing';

/** Whose a session is comes first where it may be someone else's: reading a record may cost much more than asking for it. */
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
  const isOurs = (owner: SessionOwner | undefined): boolean =>
    belongsTo(owner, principal) && isInNamespace(owner, options.namespace);
  const isKnown = known?.record !== undefined && isOurs(known.record.metadata?.mcp);
  // Where clients have no principals a session is nobody else's, and looking first would cost a trip more.
  if (opens || (principal !== undefined && !isKnown)) {
    const owner = await storeAccess.owner(sessionId, waits);
    if (owner === null) return 'missing';
    if (owner && !isOurs(owner)) return 'foreign';
    if (owner && opens) return 'ours';
  }
  // DELETE never skips the store: a concurrent background read would report the session missing.
  const trusted = isKnown && exchange.method !== 'DELETE' ? known.trusted() : undefined;
  const record = trusted ?? (await ask(storeAccess, sessionId, known, waits));
  if (!record) return 'missing';
  return isOurs(record.metadata?.mcp) ? record : 'foreign';
}

async function ask(
  storeAccess: StoreAccess,
  sessionId: string,
  known: KnownSession | undefined,
  waits: WaitBudget
): Promise<SessionData | null> {
  const askedAt = performance.now();
  const ownChanges = known?.ownChanges ?? 0;
  const record = await storeAccess.touch(sessionId, known?.record, waits);
  return record && known ? known.confirmed(record, askedAt, ownChanges) : record;
}

export function principalOf(exchange: Exchange, options: ResolvedOptions): string | undefined {
  return exchange.authInfo && options.principalOf(exchange.authInfo);
}
