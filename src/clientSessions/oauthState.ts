import { toBase64Url } from '../encryption/base64.js';
import { isSessionId } from '../ports/sessionId.js';

/** RFC 6749 section 10.10 asks for 128 bits at least. */
const NONCE_BYTES = 32;

/** An OAuth `state` (RFC 6749 section 10.12) that cannot be guessed and leads any pod to its session. */
export function newState(sessionId: string): string {
  const nonce = globalThis.crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  return `${sessionId}.${toBase64Url(nonce)}`;
}

/** The session that a state says it is of: only the session itself tells whether that is so. */
export function sessionIdOfState(state: unknown): string | undefined {
  if (typeof state !== 'string') return undefined;
  const sessionId = state.slice(0, Math.max(0, state.lastIndexOf('.')));
  return isSessionId(sessionId) ? sessionId : undefined;
}

/** Compares in a time that does not tell where the texts differ. */
export function sameText(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i);
  return difference === 0;
}

/** The S256 challenge of a PKCE verifier (RFC 7636 section 4.2). */
export async function challengeOf(codeVerifier: string): Promise<string> {
  const digest = await globalThis.crypto.subtle.digest('SHA-256', new TextEncoder().encode(codeVerifier));
  return toBase64Url(new Uint8Array(digest));
}
