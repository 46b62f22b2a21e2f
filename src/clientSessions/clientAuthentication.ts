import { type AuthorizationServerMetadata, clientAuthMethod, type OAuthClientInformationMixed } from './sdkClient.js';

/** Authenticates the application at the token endpoint with its client id and secret (RFC 6749 section 2.3.1). */
export async function authenticateClient(
  clientInformation: OAuthClientInformationMixed,
  headers: Headers,
  params: URLSearchParams,
  metadata: AuthorizationServerMetadata | undefined
): Promise<void> {
  const { client_id: clientId, client_secret: secret } = clientInformation;
  const supported = metadata?.token_endpoint_auth_methods_supported ?? [];
  const method = await clientAuthMethod(clientInformation, supported);
  if (method === 'client_secret_basic') {
    headers.set('Authorization', `Basic ${btoa(`${clientId}:${secret ?? ''}`)}`);
    return;
  }
  params.set('client_id', clientId);
  if (method === 'client_secret_post' && secret !== undefined) params.set('client_secret', secret);
}
