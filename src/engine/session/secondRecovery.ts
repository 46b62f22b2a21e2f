import type { PodEvents } from '../../events/podEvents.js';
import { emitWarning } from '../../report.js';

/** A transport that has recovered a session. */
export interface RecoveredTransport {
  readonly closed: boolean;
}

/** How many of the newest recoveries the process remembers, over all sessions. */
const MAX_REMEMBERED = 32;

const CODE = 'ANYPOD_SECOND_TRANSPORT';
const WARNING =
  'A session was recovered by a second transport of this process while the first was still open. Keep the transport ' +
  'of a recovered session and pass it every request of that session, or use createMcpHandler';

const recovered = new Map<string, WeakRef<RecoveredTransport>>();
let warned = false;

/**
 * Warns once for the process if a session is recovered while another transport of the process has recovered it and is
 * still open: the application builds a new transport and server for each request.
 */
export function noteRecovery(
  sessionId: string,
  transport: RecoveredTransport,
  events?: Pick<PodEvents, 'warning'>
): void {
  if (warned) return;
  const earlier = recovered.get(sessionId)?.deref();
  if (earlier && earlier !== transport && !earlier.closed) {
    warned = true;
    recovered.clear();
    if (!events?.warning(CODE, WARNING)) emitWarning(CODE, WARNING);
    return;
  }
  // Deleted first, so that the newest is the last one of the map.
  recovered.delete(sessionId);
  recovered.set(sessionId, new WeakRef(transport));
  for (const oldest of recovered.keys()) {
    if (recovered.size <= MAX_REMEMBERED) break;
    recovered.delete(oldest);
  }
}
