import { isInitializeRequest, SUPPORTED_PROTOCOL_VERSIONS } from 'mcp-sdk-upstream/types.js';
import type { Dialect } from '../engine/dialect.js';
import { checkInstallation, installedVersions, SDK_V1 } from '../installation.js';
import { LazyRequestInfo } from './requestInfo.js';

/** Version 1 of the SDK. */
export const V1: Dialect = {
  optionNames: {},
  supportedVersionsOf: () => SUPPORTED_PROTOCOL_VERSIONS,
  primesUnknownVersions: true,
  failsWithoutClient: true,
  endsResumedStreams: false,
  // This check runs for every message and the schema is slow, so the method is compared first.
  isInitialize: message => 'method' in message && message.method === 'initialize' && isInitializeRequest(message),
  requestInfoOf: exchange => new LazyRequestInfo(exchange),
  extraOf(exchange, state) {
    const requestInfo = new LazyRequestInfo(exchange);
    LazyRequestInfo.linkState(requestInfo, state);
    return { authInfo: exchange.authInfo, requestInfo };
  },
  checkInstallation: onWarning => checkInstallation(SDK_V1, onWarning),
  versions: () => installedVersions(SDK_V1)
};
