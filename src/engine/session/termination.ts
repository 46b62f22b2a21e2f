import type { WaitBudget } from '../../deadline.js';
import type { EndCause } from '../../events/podEvents.js';
import type { ReportError } from '../../report.js';
import type { OtherPods } from '../context.js';
import type { Reply } from '../http/exchange.js';
import { emptyReply, refuseNotFound, storeFailure } from '../http/replies.js';
import type { ResolvedOptions } from '../options.js';

/** A session that its client ends. This pod may or may not serve it. */
export interface Ending {
  readonly sessionId: string | undefined;
  readonly options: ResolvedOptions;
  readonly report: ReportError;
  readonly otherPods: Pick<OtherPods, 'changed' | 'ended'> | undefined;
  /** Set while the store is asked to remove the session: a second DELETE here waits for the same answer. */
  removal: Promise<boolean> | undefined;
  /** Forgets the session on this pod. */
  onEnded(cause: EndCause): Promise<void>;
}

/** Ends a session for every pod. The store removes it before the client gets the reply. */
export async function terminate(ending: Ending, waits: WaitBudget): Promise<Reply> {
  const { options, report, sessionId, otherPods } = ending;
  if (options.storeAccess && sessionId !== undefined) {
    let isFirst = !ending.removal;
    try {
      const removed = await (ending.removal ??= options.storeAccess.remove(sessionId, waits));
      isFirst &&= removed;
    } catch (error) {
      ending.removal = undefined;
      // The store may have removed it despite the error. This makes the other pods read it again.
      void otherPods?.changed();
      return storeFailure(error, report);
    }
    if (!isFirst) {
      // Another DELETE, here or on another pod, removed it while this one asked the store.
      await ending.onEnded('client');
      return refuseNotFound(report);
    }
    await otherPods?.ended(waits);
  }
  try {
    await options.onsessionclosed?.(sessionId as string);
    return emptyReply(200);
  } finally {
    await ending.onEnded('client');
  }
}

/**
 * Ends a session for every pod because the application asks for it: `onsessionclosed` is not called.
 * @throws SessionStoreUnavailableError if the store did not confirm. Then the session continues to exist
 */
export async function terminateForApplication(ending: Ending): Promise<void> {
  const { options, sessionId, otherPods } = ending;
  if (sessionId !== undefined) {
    await options.storeAccess?.remove(sessionId);
    await otherPods?.ended();
  }
  await ending.onEnded('application');
}
