import type { InitializeRequest } from '../../sdkTypes.js';
import type { McpSessionState, SessionData } from '../../ports/sessionStore.js';
import type { SessionContext } from '../context.js';
import { LATEST_PROTOCOL_VERSION } from '../http/protocolVersion.js';
import { Date } from '../../timers.js';

/** The record of a session that is opened now. Its protocol version is the one that the SDK's `Server` will negotiate. */
export function newRecord(
  sessionId: string,
  initialize: InitializeRequest['params'],
  principal: string | undefined,
  { options: { namespace }, supportedVersions }: Pick<SessionContext, 'options' | 'supportedVersions'>
): SessionData {
  const requested = initialize.protocolVersion;
  const protocolVersion = supportedVersions.includes(requested)
    ? requested
    : (supportedVersions[0] ?? LATEST_PROTOCOL_VERSION);
  const mcp: McpSessionState = { protocolVersion, initialize };
  if (principal !== undefined) mcp.principal = principal;
  if (namespace !== undefined) mcp.namespace = namespace;
  const now = Date.now();
  return { sessionId, initialized: false, createdAt: now, lastActivity: now, metadata: { mcp } };
}

/** Whether a record was read before another one, as far as the store numbers them. */
export function isOlder(record: SessionData, than: SessionData | undefined): boolean {
  return record.revision !== undefined && than?.revision !== undefined && record.revision < than.revision;
}
