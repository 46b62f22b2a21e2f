import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import type { SessionOwner } from '../../ports/sessionStore.js';

/**
 * Issuer and subject (RFC 7519 sections 4.1.1 and 4.1.2) where the token's verifier passes them on in
 * `extra`, else the OAuth client. Never the token: it changes at every refresh, and the session must not.
 */
export function defaultPrincipalOf(authInfo: AuthInfo): string | undefined {
  const { iss, sub } = authInfo.extra ?? {};
  if (typeof sub === 'string') return JSON.stringify([typeof iss === 'string' ? iss : null, sub]);
  return typeof authInfo.clientId === 'string' ? JSON.stringify([authInfo.clientId]) : undefined;
}

/** Whether a session was opened in this namespace; where the record or the server has none, nothing is compared. */
export function isInNamespace(owner: SessionOwner | undefined, namespace: string | undefined): boolean {
  const opened = owner?.namespace;
  return opened === undefined || namespace === undefined || opened === namespace;
}

/** A session that was opened without authentication has no principal, and is found by anyone who knows its id. */
export function belongsTo(owner: SessionOwner | undefined, principal: string | undefined): boolean {
  return owner?.principal === undefined || owner.principal === principal;
}
