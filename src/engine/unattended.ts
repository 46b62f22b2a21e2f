import { withDeadline } from '../deadline.js';
import { EventStoreUnavailableError } from '../errors.js';
import type { FollowableEventStore } from '../ports/eventStore.js';
import type { Engine } from './engine.js';
import { STANDALONE, streamIdOf } from './streams/streamId.js';

/**
 * Whether the event log has no event of the client's standalone stream. Then the client has no stream, because each
 * stream begins in the log, and no cursor. So a log for it would have no reader.
 */
export async function isUnattended({
  options,
  routing,
  sessionId,
  holdsStandaloneStream,
  report
}: Engine): Promise<boolean> {
  const store: FollowableEventStore | undefined = options.eventStore;
  if (!store?.latestEventId || !routing || holdsStandaloneStream) return false;
  const streamId = streamIdOf(sessionId, STANDALONE);
  try {
    return (await withDeadline(async () => store.latestEventId?.(streamId), options.storeTimeoutMs)) === null;
  } catch (error) {
    report(new EventStoreUnavailableError('latestEventId failed', { cause: error }));
    return false;
  }
}
