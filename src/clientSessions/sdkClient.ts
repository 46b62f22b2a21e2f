/*
 * What client sessions need of the SDK's client. The build of the second package, `mcp-server-anypod`, replaces this
 * module by src/v2/sdkClient.ts, which has the same for version 2 of the SDK.
 */

import { InvalidGrantError } from 'mcp-sdk-upstream/server/auth/errors.js';
import type { OAuthClientInformationMixed } from 'mcp-sdk-upstream/shared/auth.js';

export type {
  AddClientAuthentication,
  OAuthClientProvider,
  OAuthDiscoveryState
} from 'mcp-sdk-upstream/client/auth.js';
export type {
  AuthorizationServerMetadata,
  OAuthClientInformationMixed,
  OAuthClientMetadata,
  OAuthTokens
} from 'mcp-sdk-upstream/shared/auth.js';

/** The error after which the SDK's `auth()` starts again with the session's current data. */
export function invalidGrant(message: string): Error {
  return new InvalidGrantError(message);
}

/** How a client authenticates at a token endpoint that supports these methods. */
export async function clientAuthMethod(client: OAuthClientInformationMixed, supported: string[]): Promise<string> {
  // Loaded here because most users of this package are servers, and they do not need the SDK's client.
  const { selectClientAuthMethod } = await import('#client-auth');
  return selectClientAuthMethod(client, supported);
}
