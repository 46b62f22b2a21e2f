import type { EventId, EventStore, StreamId } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { JSONRPCMessage } from 'mcp-sdk-upstream/types.js';

/**
 * The SDK's port for what was sent on streams, with optional methods.
 *
 * A client whose cursor on its GET stream is no longer kept gets the stream from now on if the event id shows whose it was:
 * an id begins with the stream's id, a separator that is no letter or digit follows, and then a number or a time.
 */
export interface FollowableEventStore extends EventStore {
  /**
   * The id of the last event that is kept of a stream; null if there is none. Several pods may write to the GET stream of
   * a session; with this method, the pod that holds the stream delivers in the order of the log from the first event on.
   * Without it, events of different pods are delivered in the order in which the pod receives them, and a client that
   * resumes may miss one of two that were sent at the same moment; and an event without a message (`{}`) is stored whenever
   * a GET opens a stream, so that the client has a cursor.
   */
  latestEventId?(streamId: StreamId): Promise<EventId | null>;
  /**
   * Stores an event as `storeEvent` does, and learns that the stream is complete: a client that comes back for it does so
   * soon, so the store may keep it for a shorter time. An event that is stored later all the same keeps it as long as any.
   */
  storeLastEvent?(streamId: StreamId, message: JSONRPCMessage): Promise<EventId>;
  /**
   * The session has ended: removes the streams that `storeLastEvent` has completed for it, and those that are named. The
   * id of a session's stream is the session's id, a colon, and a name without a colon. Streams that are not there are no
   * error.
   */
  deleteStreams?(sessionId: string, streamIds: readonly StreamId[]): Promise<void>;
}

/** A stream's session, and its name there; no session if the transport has none. */
export function partsOfStreamId(streamId: StreamId): { sessionId: string | undefined; name: string } {
  const colon = streamId.lastIndexOf(':');
  return { sessionId: colon < 0 ? undefined : streamId.slice(0, colon), name: streamId.slice(colon + 1) };
}
