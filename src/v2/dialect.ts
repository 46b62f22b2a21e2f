import { isInitializeRequest, SUPPORTED_PROTOCOL_VERSIONS } from '@modelcontextprotocol/server';
import type { Dialect } from '../engine/dialect.js';
import { InvalidOptionError } from '../errors.js';
import { checkInstallation, installedVersions, SDK_V2 } from '../installation.js';
import type { MessageExtraInfo, RequestInfo } from '../sdkTypes.js';
import { kindOf } from '../validate.js';
import { linkState, requestOf } from './lazyRequest.js';

/** Version 2 of the SDK. */
export const V2: Dialect = {
  optionNames: { supportedProtocolVersions: true },
  supportedVersionsOf({ supportedProtocolVersions: versions }: { supportedProtocolVersions?: unknown }) {
    if (versions === undefined) return SUPPORTED_PROTOCOL_VERSIONS;
    if (Array.isArray(versions) && versions.length > 0 && versions.every(version => typeof version === 'string')) {
      return versions;
    }
    throw new InvalidOptionError('supportedProtocolVersions', kindOf(versions), 'an array of protocol versions');
  },
  primesUnknownVersions: false,
  failsWithoutClient: false,
  endsResumedStreams: true,
  // This check runs for every message and the schema is slow, so the method is compared first.
  isInitialize: message => 'method' in message && message.method === 'initialize' && isInitializeRequest(message),
  // In this package the type is that of a web-standard request: see sdkTypes.ts.
  requestInfoOf: exchange => requestOf(exchange) as unknown as RequestInfo,
  extraOf(exchange, state) {
    const request = requestOf(exchange);
    linkState(request, state);
    return { authInfo: exchange.authInfo, request } as MessageExtraInfo;
  },
  checkInstallation: onWarning => checkInstallation(SDK_V2, onWarning),
  versions: () => installedVersions(SDK_V2)
};
