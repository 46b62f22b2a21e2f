import type { JSONRPCMessage, RequestId } from '../../sdkTypes.js';
import { isResponse, type Response } from '../http/jsonRpc.js';
import type { Stream } from './connection.js';
import type { EventLog } from './eventLog.js';
import { inJson, jsonOf, notJson } from './json.js';
import { answersInJson, isAnswered, type OpenRequest, type RequestStream } from './openRequests.js';
import type { SessionStreams } from './sessionStreams.js';
import { finalCursorOf } from './streamId.js';

/** The result of writing to a connection. `drained` is a promise in an object, so that only senders that need it wait. */
interface Written {
  drained: void | Promise<void>;
  /** Set if the message could not be written as JSON. */
  error?: Error;
}

/**
 * Sends a server message: a response on its request's stream, others on that of `relatedRequestId` or the GET stream.
 * @throws Error if the request is not open
 * @throws TypeError if a message that is not a response cannot be written as JSON
 */
export async function send(
  streams: SessionStreams,
  message: JSONRPCMessage,
  relatedRequestId: RequestId | undefined
): Promise<void> {
  const response = isResponse(message) ? message : undefined;
  const requestId = response ? response.id : relatedRequestId;
  if (requestId === undefined) {
    if (response) {
      throw new Error('Cannot send a response on a standalone SSE stream unless resuming a previous client request');
    }
    // Does not wait for the client to read: a slow reader of the GET stream must not delay a notification to many sessions.
    await deliver(streams, streams.standalone, message);
    return;
  }
  const request = streams.openRequests.get(requestId);
  if (!request) {
    if (streams.openRequests.isForCancelledRequest(message, requestId)) return;
    throw noConnection(requestId);
  }
  if (response) return respond(streams, request, response);
  if (streams.options.enableJsonResponse) return;
  const delivered = await deliver(streams, request.stream, message);
  if (delivered?.drained) await delivered.drained;
}

/** The log was slow, so the client got this message without an event id. Now the id is known. */
export function storedLate(streams: SessionStreams, streamId: string, message: JSONRPCMessage, eventId: string): void {
  const stream = streams.streamNamed(streamId);
  if (stream.connection?.storedLate(message, eventId) && 'resumable' in stream) stream.resumable = true;
}

async function respond(streams: SessionStreams, request: OpenRequest, response: Response): Promise<void> {
  const recorded = 'result' in response ? request.onresult?.(response.result) : undefined;
  if (recorded) await recorded;
  const { stream } = request;
  const given = request.id === request.message.id ? response : { ...response, id: request.message.id };
  // The log, and the pod that reads it, must get JSON. Without a log this is checked when the answer is written.
  const checked = streams.log && inJson(given, streams.report);
  const answer = checked?.response ?? given;
  if (!streams.options.enableJsonResponse) {
    request.answered = true;
    const isLast = isAnswered(stream);
    const { log } = streams;
    const stored =
      log && (isLast ? log.appendLast(stream, answer, true, checked?.text) : append(log, streams, stream, answer));
    const eventId = stored && (await stored);
    const finalCursor = isLast ? finalCursorAfter(streams, stream, answer, eventId) : undefined;
    // For a client here nothing is awaited until its request is removed: a second answer in this turn is not written.
    const forwarded = writeAnswer(streams, stream, answer, eventId, finalCursor, checked?.text);
    if (forwarded) await forwarded;
  }
  request.observed?.respond(answer);
  // Another answer to the same request may have ended the stream while this one was stored.
  if (streams.openRequests.get(request.id) !== request) return reportUndeliverable(streams, request, false);
  if (request.response === undefined) stream.unanswered--;
  request.response = answer;
  if (stream.unanswered > 0) return streams.removeIfOver(stream);

  streams.remove(stream);
  if (stream.reply) {
    stream.reply(answersInJson(stream, streams.sessionId, streams.report));
  } else if (stream.connection) {
    stream.connection.close();
  } else if (stream.isOnOtherPod) {
    await streams.otherPods?.streamEnded(stream.id);
  } else {
    reportUndeliverable(streams, request, stream.resumable);
  }
}

/**
 * Reports an answer whose client has left, or throws, as the SDK that the dialect stands for does.
 * @param isKept - whether the client can get the answer if it comes back
 */
function reportUndeliverable(
  { options, log, closed, report }: SessionStreams,
  { id }: OpenRequest,
  isKept: boolean
): void {
  const { failsWithoutClient } = options.dialect;
  if (failsWithoutClient ? !closed && !isKept : options.enableJsonResponse) throw noConnection(id);
  if (failsWithoutClient || log) return;
  const reason = 'per-request stream is disconnected and no eventStore is configured';
  report(new Error(`Response for request ID ${String(id)} is undeliverable: ${reason}`));
}

/** @returns a promise if the answer goes to another pod */
function writeAnswer(
  streams: SessionStreams,
  stream: RequestStream,
  answer: Response,
  eventId: string | undefined,
  finalCursor: string | undefined,
  text: string | undefined
): Promise<void> | undefined {
  const written = write(streams, stream, answer, eventId, finalCursor, text);
  if (written?.error) write(streams, stream, notJson(answer), eventId);
  return !written && stream.isOnOtherPod ? streams.otherPods?.toStream(stream.id, answer, eventId) : undefined;
}

/** Logs a message and writes it to the client, here or on another pod. @returns undefined if no client is attached here */
async function deliver(streams: SessionStreams, stream: Stream, message: JSONRPCMessage): Promise<Written | undefined> {
  const { log, otherPods } = streams;
  const isChecked = log !== undefined || (otherPods !== undefined && !stream.connection);
  const text = isChecked ? jsonOf(message, streams.report) : undefined;
  const eventId = log && (await append(log, streams, stream, message));
  const written = write(streams, stream, message, eventId, undefined, text);
  if (written?.error) throw written.error;
  if (written || !otherPods) return written;
  if (stream === streams.standalone) await otherPods.toStandalone(message, eventId);
  else if ((stream as RequestStream).isOnOtherPod) await otherPods.toStream(stream.id, message, eventId);
  return undefined;
}

/** @returns undefined if the log failed or is late. A late id is passed on */
function append(
  log: EventLog,
  streams: SessionStreams,
  stream: Stream,
  message: JSONRPCMessage
): Promise<string | undefined> {
  return log.append(stream, message, undefined, eventId => {
    if (stream.connection || streams.closed) return storedLate(streams, stream.id, message, eventId);
    if (stream === streams.standalone || (stream as RequestStream).isOnOtherPod)
      void streams.otherPods?.storedLate(stream.id, message, eventId);
  });
}

/**
 * The id to send with the last answer. The SDK's client reconnects after an error response; if it comes with this id, every pod
 * answers that the stream is over.
 */
function finalCursorAfter(
  { otherPods, sessionId }: SessionStreams,
  stream: RequestStream,
  answer: Response,
  eventId: string | undefined
): string | undefined {
  const comesBack = 'error' in answer && (eventId !== undefined || stream.resumable);
  return otherPods && comesBack ? finalCursorOf(sessionId, eventId) : undefined;
}

/**
 * @param text - the message as JSON, if it is known
 * @returns undefined if no client is attached here
 */
function write(
  streams: SessionStreams,
  stream: Stream,
  message: JSONRPCMessage,
  eventId: string | undefined,
  finalCursor?: string,
  text?: string
): Written | undefined {
  // Read after the log has answered: a resume may have replaced the connection meanwhile.
  const { connection } = stream;
  if (!connection) return undefined;
  try {
    const drained = connection.deliver(message, eventId, finalCursor, text);
    if (eventId !== undefined && 'resumable' in stream) stream.resumable = true;
    return { drained };
  } catch (error) {
    streams.report(error as Error);
    return { drained: undefined, error: error as Error };
  }
}

function noConnection(requestId: RequestId): Error {
  return new Error(`No connection established for request ID: ${String(requestId)}`);
}
