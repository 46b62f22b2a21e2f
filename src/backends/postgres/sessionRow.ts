import { SessionRecordUnreadableError } from '../../errors.js';
import type { McpSessionState, SessionData, SessionOwner } from '../../ports/sessionStore.js';
import type { PostgresRow } from './client.js';
import { fromText, toText } from './text.js';

/** The values of the statement that creates a session: from `initialized` on. */
export function toValues(data: SessionData): unknown[] {
  const mcp: Partial<Record<keyof McpSessionState, unknown>> | undefined = data.metadata?.mcp;
  const uris = Array.isArray(mcp?.subscriptions) ? (mcp.subscriptions as unknown[]) : undefined;
  return [
    data.initialized,
    data.createdAt,
    data.lastActivity,
    data.metadata ? JSON.stringify(data.metadata) : null,
    uris?.every(uri => typeof uri === 'string') ? uris.map(toText) : null,
    typeof mcp?.principal === 'string' ? toText(mcp.principal) : null
  ];
}

/** @throws SessionRecordUnreadableError */
export function fromRow(sessionId: string, row: PostgresRow): SessionData {
  const data: SessionData = {
    sessionId,
    initialized: row.initialized === 'true',
    createdAt: Number(row.created_at),
    lastActivity: Number(row.last_activity),
    revision: Number(row.revision)
  };
  const metadata = metadataIn(row);
  const patched: McpSessionState = {};
  if (typeof row.protocol_version === 'string') patched.protocolVersion = fromText(row.protocol_version);
  if (typeof row.log_level === 'string') patched.logLevel = fromText(row.log_level) as McpSessionState['logLevel'];
  if (typeof row.subscriptions === 'string') {
    patched.subscriptions = (JSON.parse(row.subscriptions) as string[]).map(fromText);
  }
  if (Object.keys(patched).length > 0) data.metadata = { ...metadata, mcp: { ...metadata?.mcp, ...patched } };
  else if (metadata) data.metadata = metadata;
  return data;
}

/** @throws SessionRecordUnreadableError */
export function ownerIn(row: PostgresRow): SessionOwner {
  const { principal, namespace } = metadataIn(row)?.mcp ?? {};
  return { principal, namespace };
}

function metadataIn({ metadata }: PostgresRow): SessionData['metadata'] {
  return typeof metadata === 'string' ? parseMetadata(metadata) : undefined;
}

function parseMetadata(text: string): SessionData['metadata'] {
  try {
    const metadata: unknown = JSON.parse(text);
    const isObject = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata);
    if (isObject) return metadata as SessionData['metadata'];
  } catch (error) {
    throw new SessionRecordUnreadableError('The record in Postgres is no JSON', { cause: error });
  }
  throw new SessionRecordUnreadableError('The record in Postgres is no JSON object');
}
