import { InvalidOptionError } from '../errors.js';
import { checkFunction, checkOptionsObject, checkString } from '../validate.js';
import type { ClientSession } from './record.js';
import type { AddClientAuthentication, OAuthClientMetadata, OAuthClientProvider } from './sdkClient.js';

/** The options of the OAuth provider of a client session. */
export interface ClientSessionOAuthOptions {
  /** Sends the user's browser to the authorization server: by a redirect, or by sending the URL to your page. */
  redirectToAuthorization: (authorizationUrl: URL, session: ClientSession) => void | Promise<void>;
  /**
   * The registered metadata (RFC 7591). @default its `redirect_uris` is the session's `callbackUrl`
   */
  clientMetadata?: Partial<OAuthClientMetadata>;
  /** The https URL where the authorization server reads your metadata, instead of a registration. */
  clientMetadataUrl?: string;
  /** The `state` of the current callback. It selects the authorization to finish, if several are under way. */
  callbackState?: string;
  /** Authenticates your application at the token endpoint in its own way. @default as the SDK does */
  addClientAuthentication?: AddClientAuthentication;
  /** As in the SDK's `OAuthClientProvider`. */
  validateResourceURL?: OAuthClientProvider['validateResourceURL'];
}

/** @throws InvalidOptionError */
export function checkOAuthOptions(options: ClientSessionOAuthOptions): void {
  checkOptionsObject('options', options);
  if (typeof options.redirectToAuthorization !== 'function') {
    throw new InvalidOptionError('redirectToAuthorization', typeof options.redirectToAuthorization, 'a function');
  }
  if (options.clientMetadata !== undefined) checkOptionsObject('clientMetadata', options.clientMetadata);
  checkString('clientMetadataUrl', options.clientMetadataUrl);
  checkString('callbackState', options.callbackState);
  checkFunction('addClientAuthentication', options.addClientAuthentication);
  checkFunction('validateResourceURL', options.validateResourceURL);
}
