import type { RequestId } from '../../sdkTypes.js';

/** The name of the stream that a GET opens. */
export const STANDALONE = 'standalone';
/** The name in final cursors. No stream has it. */
const OVER = 'over';

/** Longer lists of request ids are left out of a stream's name. */
const MAX_IDS_LENGTH = 400;

/** The data in a stream's id. */
export interface StreamName {
  /** The instance that runs the stream's requests; undefined for the standalone stream, and in memory mode. */
  readonly owner: string | undefined;
  /** The requests that the stream answers, if the name has them. */
  readonly requestIds: readonly RequestId[];
}

/**
 * An event store may serve many sessions, so the ids of a session's streams begin with the session id. The name after
 * it has no colon.
 */
export function streamIdOf(sessionId: string | undefined, name: string): string {
  return sessionId === undefined ? name : `${sessionId}:${name}`;
}

export function belongsToSession(streamId: string, sessionId: string | undefined): boolean {
  return streamId === streamIdOf(sessionId, streamId.slice(streamId.lastIndexOf(':') + 1));
}

/**
 * Whether an event id has the form of this stream's: the stream's id, a separator, and a number or a time. If an event
 * store uses another form, its expired events are not recognized.
 */
export function isEventOf(streamId: string, eventId: string): boolean {
  return eventId.startsWith(streamId) && /^[^A-Za-z0-9][\w.-]*\d[\w.-]*$/.test(eventId.slice(streamId.length));
}

/**
 * A cursor that nothing follows. It is not in the event store, so it can be sent while the log is down. Every pod
 * recognizes it when the client resumes.
 * @param eventId - the event's id in the event store, if it has one: ids of different events differ
 */
export function finalCursorOf(sessionId: string | undefined, eventId?: string): string {
  return `${streamIdOf(sessionId, OVER)}@${eventId ?? globalThis.crypto.randomUUID()}`;
}

/** A client that forges one only learns that nothing follows. */
export function isFinalCursor(sessionId: string | undefined, eventId: string): boolean {
  return eventId.startsWith(`${streamIdOf(sessionId, OVER)}@`);
}

/** The name of a request stream. It has the pod to ask about the stream, and the requests to answer. */
export function requestStreamName(owner: string, requestIds: RequestId[]): string {
  const ids = hexOf(JSON.stringify(requestIds));
  return `${owner}.${ids.length > MAX_IDS_LENGTH ? '' : ids}.${globalThis.crypto.randomUUID()}`;
}

export function parseStreamId(streamId: string): StreamName {
  const [owner, ids, nonce] = streamId.slice(streamId.lastIndexOf(':') + 1).split('.');
  if (nonce === undefined) return { owner: undefined, requestIds: [] };
  try {
    return { owner, requestIds: ids ? (JSON.parse(textOf(ids)) as RequestId[]) : [] };
  } catch {
    return { owner, requestIds: [] };
  }
}

const DIGITS = '0123456789abcdef';

/** Called for each request, so the usual text is not encoded, and no array is made. */
function hexOf(text: string): string {
  let hex = '';
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return Array.from(new TextEncoder().encode(text), hexOfByte).join('');
    hex += hexOfByte(code);
  }
  return hex;
}

function hexOfByte(byte: number): string {
  return DIGITS.charAt(byte >> 4) + DIGITS.charAt(byte & 15);
}

function textOf(hex: string): string {
  const bytes = hex.match(/../g)?.map(pair => parseInt(pair, 16)) ?? [];
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array(bytes));
}
