import type { JSONRPCMessage } from '../../sdkTypes.js';

/**
 * One message as an event of the stream (WHATWG HTML, section 9.2.6), formatted as by the SDK.
 * @param text - its JSON, if it is known
 */
export function messageEvent(
  message: JSONRPCMessage,
  eventId: string | undefined,
  text = JSON.stringify(message)
): string {
  return eventId ? `event: message\nid: ${eventId}\ndata: ${text}\n\n` : `event: message\ndata: ${text}\n\n`;
}

/** An event without data that gives the client a cursor to resume from (MCP 2025-11-25, Sending Messages, 6). */
export function primingEvent(eventId: string, retryMs: number | undefined): string {
  return retryMs === undefined ? `id: ${eventId}\ndata: \n\n` : `id: ${eventId}\nretry: ${retryMs}\ndata: \n\n`;
}

/** Clients of older versions cannot read an event without data. */
export function understandsPriming(protocolVersion: string): boolean {
  return protocolVersion >= '2025-11-25';
}
