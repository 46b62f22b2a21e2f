import type { AuthInfo } from '../../sdkTypes.js';
import type { SessionOwner } from '../../ports/sessionStore.js';

/**
 * Issuer and subject (RFC 7519 sections 4.1.1 and 4.1.2) if the token's verifier puts them into `extra`, otherwise the
 * OAuth client. Never the token: it changes at every refresh, but the owner of the session must not.
 */
export function defaultPrincipalOf(authInfo: AuthInfo): string | undefined {
  const { iss, sub } = authInfo.extra ?? {};
  if (typeof sub === 'string') return JSON.stringify([typeof iss === 'string' ? iss : null, sub]);
  return typeof authInfo.clientId === 'string' ? JSON.stringify([authInfo.clientId]) : undefined;
}

/** Whether a session was opened in this namespace. If the record or the server has no namespace, the result is true. */
export function isInNamespace(owner: SessionOwner | undefined, namespace: string | undefined): boolean {
  const opened = owner?.namespace;
  return opened === undefined || namespace === undefined || opened === namespace;
}

/**
 * Whether a principal may use a session. A session without a principal may be used by every client that knows its id.
 */
export function belongsTo(owner: SessionOwner | undefined, principal: string | undefined): boolean {
  return owner?.principal === undefined || owner.principal === principal;
}
