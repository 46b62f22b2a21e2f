import type { EventId, EventStore, JSONRPCMessage, StreamId } from '../sdkTypes.js';

/**
 * The SDK's port for the log of the events sent on streams, with optional methods.
 *
 * A client may resume its GET stream with an event id that is no longer kept. It gets the stream from now on if the id
 * names the stream: the stream's id, then a separator that is not a letter or digit, then a number or a time.
 */
export interface FollowableEventStore extends EventStore {
  /**
   * The id of the last event in a stream's log; null if there is none. Several pods may write to the GET stream of a
   * session. With this method, the pod that holds the stream delivers in the order of the log from the first event on.
   * Without it, that pod delivers the events of different pods in the order in which it receives them. A client that
   * resumes may then miss one of two events that were sent at the same moment. Also, an event without a message (`{}`)
   * is stored whenever a GET opens a stream, so that the client has a cursor.
   */
  latestEventId?(streamId: StreamId): Promise<EventId | null>;
  /**
   * Stores an event as `storeEvent` does, and marks the stream as complete. A client that resumes such a stream does so
   * soon, so the store may keep it for a shorter time. If another event is stored later, the usual time applies again.
   * @param text - the message as JSON, if the caller has it
   */
  storeLastEvent?(streamId: StreamId, message: JSONRPCMessage, text?: string): Promise<EventId>;
  /**
   * Stores the only event of a stream: none was stored before, and the stream is complete. As `storeLastEvent`, if that is
   * cheaper. Storing the same event again must not add one.
   * @param text - the message as JSON, if the caller has it
   */
  storeOnlyEvent?(streamId: StreamId, message: JSONRPCMessage, text?: string): Promise<EventId>;
  /**
   * An id that stands before the first event of a stream, made without asking the backend. The client of a request gets it
   * as its first cursor. Without this method an event without a message (`{}`) is stored for that.
   *
   * `replayEventsAfter` replays the whole stream after it, and throws an `EventCursorError` if earlier events of the
   * stream were removed. A stream without events has nothing to replay, and is not an error. `getStreamIdForEventId`
   * returns the stream, whether or not it exists.
   */
  startEventId?(streamId: StreamId): EventId;
  /**
   * Called when the session has ended: removes the streams that `storeLastEvent` and `storeOnlyEvent` completed for it, and those in
   * `streamIds`. The id of a session's stream is the session's id, a colon, and a name without a colon. A missing stream
   * is not an error.
   */
  deleteStreams?(sessionId: string, streamIds: readonly StreamId[]): Promise<void>;
}

/** Splits a stream id into session id and name. The session id is undefined if the transport has no session. */
export function partsOfStreamId(streamId: StreamId): { sessionId: string | undefined; name: string } {
  const colon = streamId.lastIndexOf(':');
  return { sessionId: colon < 0 ? undefined : streamId.slice(0, colon), name: streamId.slice(colon + 1) };
}
