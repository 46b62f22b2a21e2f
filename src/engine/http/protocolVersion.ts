import { SUPPORTED_PROTOCOL_VERSIONS } from 'mcp-sdk-upstream/types.js';
import type { ReportError } from '../../report.js';
import type { Exchange, Reply } from './exchange.js';
import { refuse, TRANSPORT_ERROR } from './replies.js';

/** The reply to a request whose `Mcp-Protocol-Version` is not supported; undefined if it is, or if there is none. */
export function refuseVersion(exchange: Exchange, report: ReportError): Reply | undefined {
  const version = exchange.header('mcp-protocol-version');
  if (version === null || SUPPORTED_PROTOCOL_VERSIONS.includes(version)) return undefined;
  const supported = SUPPORTED_PROTOCOL_VERSIONS.join(', ');
  return refuse(
    report,
    400,
    TRANSPORT_ERROR,
    `Bad Request: Unsupported protocol version: ${version} (supported versions: ${supported})`
  );
}
