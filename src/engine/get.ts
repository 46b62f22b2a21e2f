import { type Exchange, type Reply, waitsOf } from './http/exchange.js';
import { EventCursorError } from '../errors.js';
import type { EngineParts } from './parts.js';
import { emptyReply, errorReply, eventStreamReply, refuse, sessionNotFound, TRANSPORT_ERROR } from './http/replies.js';
import type { Resumption } from './streams/resumption.js';
import { protocolVersionOf } from './http/protocolVersion.js';
import { understandsPriming } from './streams/sse.js';

const EXPIRED =
  'The event that the client saw last on its GET stream is not in the event store any more: the stream goes on from now, ' +
  'and what was sent in between is lost';

/** Answers a GET of the session with its standalone stream, or with the stream that the client resumes. */
export async function answerGet(host: EngineParts, exchange: Exchange, arrivedAt: number): Promise<Reply> {
  if (host.closed) return sessionNotFound();
  const { resumption } = host;
  const lastEventId = resumption && exchange.header('last-event-id');
  const reply = lastEventId ? await resume(host, resumption, exchange, lastEventId) : undefined;
  return reply ?? open(host, exchange, arrivedAt);
}

/** Opens the standalone stream for new messages. */
async function open(host: EngineParts, exchange: Exchange, arrivedAt: number): Promise<Reply> {
  const { streams, routing, resumption } = host;
  const takesCursors = understandsCursors(exchange);
  // Get the cursor first: messages that are sent during the question to the other pods come after it.
  const waits = waitsOf(exchange, host.options);
  const latest = streams.latestOnStandalone(takesCursors, waits);
  const isHeldElsewhere = routing && !host.options.takeover && (await routing.standaloneIsHeldElsewhere(waits));
  const cursor = await latest;
  // close() may have run, or the client may have left, while this waited for the store, the other pods or the log. A
  // disconnected request must not replace the client's newer stream.
  if (host.closed || exchange.gone) return sessionNotFound();
  const sink = exchange.openEventStream();
  const connection = isHeldElsewhere ? undefined : streams.openStandaloneStream(sink, takesCursors);
  if (!connection)
    return refuse(
      host.report,
      409,
      TRANSPORT_ERROR,
      'Conflict: Only one SSE stream is allowed per session',
      'stream-conflict'
    );
  if (cursor !== undefined) {
    // With this cursor, messages that are sent during the client's first reconnect wait in the log.
    connection.giveCursor(cursor);
    resumption?.followNewStandalone(connection, cursor);
  }
  await routing?.standaloneOpened(arrivedAt, waits);
  // Delivers messages that were logged before the other pods knew of this stream.
  void connection.delivery?.catchUp().catch(host.report);
  return eventStreamReply(sink, host.sessionId);
}

/** @returns undefined if nothing can be replayed: the client gets a new stream */
async function resume(
  host: EngineParts,
  resumption: Resumption,
  exchange: Exchange,
  lastEventId: string
): Promise<Reply | undefined> {
  try {
    const sink = exchange.openEventStream();
    const waits = waitsOf(exchange, host.options);
    const refusal = await resumption.resume(lastEventId, exchange, sink, understandsCursors(exchange), waits);
    switch (refusal) {
      case 'closed':
        return sessionNotFound();
      case 'over':
        // An event source does not reconnect after 204 (WHATWG HTML, section 9.2.3).
        return emptyReply(204);
      case 'expired':
        // A refusal would leave the client without a GET stream for the rest of its session.
        host.report(new EventCursorError(EXPIRED));
        return undefined;
      case 'invalid-cursor':
        // The log of a session ends with it. If the session has ended during this request, the client must learn of that.
        if (await hasEnded(host)) return sessionNotFound();
        return refuse(host.report, 400, TRANSPORT_ERROR, 'Invalid event ID format');
      case 'conflict':
        return refuse(
          host.report,
          409,
          TRANSPORT_ERROR,
          'Conflict: Stream already has an active connection',
          'stream-conflict'
        );
      default:
        return eventStreamReply(sink, host.sessionId);
    }
  } catch (error) {
    host.report(error as Error);
    return errorReply(500, TRANSPORT_ERROR, 'Error replaying events');
  }
}

async function hasEnded({ sessionId, options: { storeAccess } }: EngineParts): Promise<boolean> {
  if (!storeAccess || sessionId === undefined) return false;
  const record = await storeAccess.read(sessionId).catch(() => undefined);
  return record === null;
}

function understandsCursors(exchange: Exchange): boolean {
  return understandsPriming(protocolVersionOf(exchange));
}
