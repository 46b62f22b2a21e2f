import {
  type InitializeRequest,
  LATEST_PROTOCOL_VERSION,
  SUPPORTED_PROTOCOL_VERSIONS
} from 'mcp-sdk-upstream/types.js';
import type { McpSessionState, SessionData } from '../../ports/sessionStore.js';
import { Date } from '../../timers.js';

/** The record of a session that is opened now. Its protocol version is the one that the SDK's `Server` will negotiate. */
export function newRecord(
  sessionId: string,
  initialize: InitializeRequest['params'],
  principal: string | undefined,
  namespace: string | undefined
): SessionData {
  const requested = initialize.protocolVersion;
  const protocolVersion = SUPPORTED_PROTOCOL_VERSIONS.includes(requested) ? requested : LATEST_PROTOCOL_VERSION;
  const mcp: McpSessionState = { protocolVersion, initialize };
  if (principal !== undefined) mcp.principal = principal;
  if (namespace !== undefined) mcp.namespace = namespace;
  const now = Date.now();
  return { sessionId, initialized: false, createdAt: now, lastActivity: now, metadata: { mcp } };
}
