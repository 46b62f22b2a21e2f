import type { PortCall } from '../events/portCalls.js';
import type { FollowableEventStore } from '../ports/eventStore.js';
import type { Engine } from './engine.js';
import { REPORTED_ERRORS } from './streams/eventLog.js';
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
  const { events, storeTimeoutMs } = options;
  const run = async (): Promise<string | null | undefined> => store.latestEventId?.(streamId);
  const onFailure = (failure: Error): undefined => {
    report(failure);
    return undefined;
  };
  const call: PortCall<string | null | undefined> = {
    name: 'latestEventId',
    run,
    timeoutMs: storeTimeoutMs,
    onFailure
  };
  return (await events.log.call(call, REPORTED_ERRORS)) === null;
}
