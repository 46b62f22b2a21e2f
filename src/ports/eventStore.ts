import type { EventId, EventStore, StreamId } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';

/**
 * The SDK's port for what was sent on streams, and one optional method more. Several pods may write to the GET stream of
 * a session; with it, the pod that holds the stream delivers in the order of the log from the first event on. Without it,
 * events of different pods are delivered in the order in which the pod hears of them, and a client that resumes may
 * miss one of two that were sent at the same moment, and an event without a message (`{}`) is stored whenever a GET opens a
 * stream, so that the client has a cursor.
 *
 * A client whose cursor on its GET stream is no longer kept gets the stream from now on if the event id shows whose it was:
 * an id begins with the stream's id, a separator that is no letter or digit follows, and then a number or a time.
 */
export interface FollowableEventStore extends EventStore {
  /** The id of the last event that is kept of a stream; null where there is none. */
  latestEventId?(streamId: StreamId): Promise<EventId | null>;
}
