const SESSION_ID = /^[\x21-\x7e]{1,256}$/;

/** Whether a string can be a session id: 1 to 256 visible ASCII characters (MCP, Streamable HTTP, Session Management). */
export function isSessionId(value: string | undefined): boolean {
  return typeof value === 'string' && SESSION_ID.test(value);
}

/** Whether an HTTP header can carry a string (RFC 9110 section 5.5). The SDK requires no more of a session id. */
export function fitsHeader(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
}

/** A 32-bit hash (FNV-1a). It spreads numbered ids as well as random ones. Not for secrets. */
export function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** A short fingerprint of a session for logs and errors, because a session id is a secret. */
export function fingerprint(sessionId: string): string {
  return hash32(sessionId).toString(16).padStart(8, '0');
}
