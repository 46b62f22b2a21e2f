import { toBase64Url } from '../encryption/base64.js';
import { isSessionId } from '../ports/sessionId.js';

/** RFC 6749 section 10.10 requires at least 128 bits. */
const NONCE_BYTES = 32;

/** An OAuth `state` (RFC 6749 section 10.12). It cannot be guessed, and any pod can find its session with it. */
export function newState(sessionId: string): string {
  const nonce = globalThis.crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  return `${sessionId}.${toBase64Url(nonce)}`;
}

/** The session id in a state. It is not trusted: only the session itself can confirm the state. */
export function sessionIdOfState(state: unknown): string | undefined {
  if (typeof state !== 'string') return undefined;
  const sessionId = state.slice(0, Math.max(0, state.lastIndexOf('.')));
  return isSessionId(sessionId) ? sessionId : undefined;
}

/** Compares in a time that does not depend on the position of a difference. */
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
