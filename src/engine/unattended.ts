import { withDeadline } from '../deadline.js';
import { EventStoreUnavailableError } from '../errors.js';
import type { FollowableEventStore } from '../ports/eventStore.js';
import type { Engine } from './engine.js';
import { STANDALONE, streamIdOf } from './streams/streamId.js';

/**
 * Whether the event log has nothing of the client's standalone stream: then the client has neither a stream, which begins
 * in the log, nor a cursor, and a log of its own would be written for nobody.
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
