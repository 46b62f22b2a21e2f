import type { HttpRequest } from './script.js';

/**
 * In external mode the ids of what a server asks name its instance on the wire (difference 13). A script knows the
 * server's own ids: they are put back in what the client reads, and taken out of what it answers.
 */
const WIRE_ID = /"([0-9a-f]{12}):((?:[^"\\]|\\.)*)"/g;

/** What a client has read, with the server's own ids. */
export function withOwnIds(text: string): string {
  return text.replace(WIRE_ID, (_, _instance: string, id: string) => JSON.parse(`"${id}"`) as string);
}

/** What a client sends, with the ids that it has read for those of the script. */
export function withWireIds(request: HttpRequest, bodiesRead: readonly string[]): HttpRequest {
  const { body } = request;
  if (typeof body !== 'string') return request;
  const wireIds = new Map<string, string>();
  for (const read of bodiesRead) {
    for (const [wireId, , id] of read.matchAll(WIRE_ID)) wireIds.set(JSON.parse(`"${id}"`) as string, wireId);
  }
  let message: unknown;
  try {
    message = JSON.parse(body);
  } catch {
    return request;
  }
  if (wireIds.size === 0 || !isResponse(message)) return request;
  const wireId = wireIds.get(JSON.stringify(message.id));
  return wireId === undefined
    ? request
    : { ...request, body: JSON.stringify({ ...message, id: JSON.parse(wireId) as string }) };
}

function isResponse(message: unknown): message is { id: unknown } {
  return typeof message === 'object' && message !== null && 'id' in message && !('method' in message);
}
