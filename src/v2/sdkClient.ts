/*
 * What client sessions need of version 2 of the SDK's client: what the build of `mcp-server-anypod` puts in the place of
 * src/clientSessions/sdkClient.ts. Each name there is here as well.
 */

import {
  OAuthError,
  OAuthErrorCode,
  selectClientAuthMethod,
  type StoredOAuthClientInformation
} from '@modelcontextprotocol/client';

export type {
  AddClientAuthentication,
  AuthorizationServerMetadata,
  OAuthClientMetadata,
  OAuthClientProvider,
  OAuthDiscoveryState,
  StoredOAuthClientInformation as OAuthClientInformationMixed,
  StoredOAuthTokens as OAuthTokens
} from '@modelcontextprotocol/client';

/** The error after which the SDK's `auth()` starts again with the session's current data. */
export function invalidGrant(message: string): Error {
  return new OAuthError(OAuthErrorCode.InvalidGrant, message);
}

/** How a client authenticates at a token endpoint that supports these methods. */
export async function clientAuthMethod(client: StoredOAuthClientInformation, supported: string[]): Promise<string> {
  return selectClientAuthMethod(client, supported);
}
