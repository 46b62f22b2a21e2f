import {
  bearerAuthChallengeResponse,
  getOAuthProtectedResourceMetadataUrl,
  OAuthError,
  OAuthErrorCode,
  type ScopeChallenge,
  type ScopeChallengeHandler
} from '@modelcontextprotocol/server';
import type { Exchange, Reply } from '../engine/http/exchange.js';
import { isRequest } from '../engine/http/jsonRpc.js';
import { errorReply, INTERNAL_ERROR } from '../engine/http/replies.js';
import type { ReportError } from '../report.js';
import type { AuthInfo, JSONRPCMessage } from '../sdkTypes.js';

/** RFC 6749, section 3.3, and RFC 6750, section 3. */
const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]+$/;
const DESCRIPTION = /^[\x20-\x21\x23-\x5B\x5D-\x7E]+$/;

/**
 * Asks the server whether a request needs scopes that its token does not have. @returns the reply that tells the client
 * to ask for them (403), or that the server failed (500)
 */
export async function challengeOf(
  messages: readonly JSONRPCMessage[],
  { authInfo }: Exchange,
  resolve: ScopeChallengeHandler,
  report: ReportError
): Promise<Reply | undefined> {
  try {
    for (const request of messages) {
      if (!isRequest(request)) continue;
      const challenge = await resolve({ request, ...(authInfo !== undefined && { authInfo }) });
      if (challenge !== undefined) return await replyOf(checked(challenge), authInfo);
    }
    return undefined;
  } catch (error) {
    report(error as Error);
    return errorReply(500, INTERNAL_ERROR, 'Internal server error');
  }
}

async function replyOf(challenge: ScopeChallenge, authInfo: AuthInfo | undefined): Promise<Reply> {
  const error = new OAuthError(OAuthErrorCode.InsufficientScope, challenge.errorDescription ?? 'Insufficient scope');
  const resourceMetadataUrl = metadataUrlOf(authInfo);
  const response = bearerAuthChallengeResponse(error, { requiredScopes: [...challenge.scopes], resourceMetadataUrl });
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers.entries()),
    body: await response.text()
  };
}

function metadataUrlOf(authInfo: AuthInfo | undefined): string | undefined {
  const { resource, resourceMetadataUrl } = (authInfo ?? {}) as AuthInfo & { resourceMetadataUrl?: string };
  if (resourceMetadataUrl !== undefined) return resourceMetadataUrl;
  const isWeb = resource?.protocol === 'https:' || resource?.protocol === 'http:';
  return isWeb ? getOAuthProtectedResourceMetadataUrl(resource) : undefined;
}

/** @throws TypeError if it cannot stand in a header */
function checked(challenge: ScopeChallenge): ScopeChallenge {
  const { scopes, errorDescription } = (challenge ?? {}) as Partial<ScopeChallenge>;
  if (!Array.isArray(scopes) || scopes.length === 0 || !scopes.every(isScope)) {
    throw new TypeError('The scopes of a scope challenge must be one or more OAuth scope tokens');
  }
  if (errorDescription !== undefined && !DESCRIPTION.test(String(errorDescription))) {
    throw new TypeError('The errorDescription of a scope challenge has characters that a header cannot have');
  }
  return challenge;
}

function isScope(scope: unknown): boolean {
  return typeof scope === 'string' && SCOPE.test(scope);
}
