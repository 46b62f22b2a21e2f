import type { ReportError } from '../../report.js';
import type { Exchange, Reply } from './exchange.js';
import { refuse, TRANSPORT_ERROR } from './replies.js';

/** The newest version with a handshake. */
export const LATEST_PROTOCOL_VERSION = '2025-11-25';
/** The version of a client that does not send one. */
const DEFAULT_PROTOCOL_VERSION = '2025-03-26';

/** The protocol version of a request of an open session (MCP 2025-06-18, Transports, Protocol Version Header). */
export function protocolVersionOf(exchange: Exchange): string {
  return exchange.header('mcp-protocol-version') ?? DEFAULT_PROTOCOL_VERSION;
}

/** The reply to a request whose `Mcp-Protocol-Version` is not supported; undefined if it is, or if there is none. */
export function refuseVersion(
  exchange: Exchange,
  supportedVersions: readonly string[],
  report: ReportError
): Reply | undefined {
  const version = exchange.header('mcp-protocol-version');
  if (version === null || supportedVersions.includes(version)) return undefined;
  const supported = supportedVersions.join(', ');
  return refuse(
    report,
    400,
    TRANSPORT_ERROR,
    `Bad Request: Unsupported protocol version: ${version} (supported versions: ${supported})`
  );
}
