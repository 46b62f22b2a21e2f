/** The messages between pods about streams. */
export type StreamMessage =
  | { type: 'data'; data: string; /** The pod that sent it, if it is for all sessions. */ from?: string }
  | { type: 'delete' }
  | { type: 'replaced'; /** The token of the new stream. */ by: string };

/** @returns undefined if it is not a message that this version knows */
export function parseMessage(text: string): StreamMessage | undefined {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { type, data, by } = (message ?? {}) as Record<string, unknown>;
  const isKnown =
    type === 'delete' ||
    (type === 'data' && typeof data === 'string') ||
    (type === 'replaced' && typeof by === 'string');
  return isKnown ? (message as StreamMessage) : undefined;
}

/** The name of a session's stream, for the bus and for locks. A session id of tmcp may be any text. */
export async function nameOf(id: string): Promise<string> {
  if (/^[\x21-\x7e]{1,200}$/.test(id)) return `tmcp-stream:${id}`;
  const digest = await globalThis.crypto.subtle.digest('SHA-256', new TextEncoder().encode(id));
  const hex = Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('');
  return `tmcp-stream-hash:${hex}`;
}
