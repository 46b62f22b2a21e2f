import { Date } from '../timers.js';
import type { Listed } from './sessionList.js';
import { age, harmless } from './terminal.js';

/** A session id is a secret: whoever has it can use a session without a principal. */
const SHOWN = 8;

export function shownId(id: string, full: boolean): string {
  return harmless(full || id.length <= SHOWN ? id : `${id.slice(0, SHOWN)}…`);
}

export const SESSION_TITLES = ['SESSION', 'AGE', 'IDLE', 'CLIENT', 'PROTOCOL', 'PRINCIPAL', 'SERVER'] as const;

/** A line of the table. */
export function sessionRow({ id, data }: Listed, full: boolean): string[] {
  if (!data) return [shownId(id, full), '?', '?', '(its record cannot be read)'];
  const { initialize, protocolVersion, principal, serverName, namespace } = data.metadata?.mcp ?? {};
  const { name, version } = initialize?.clientInfo ?? {};
  const client = name === undefined ? '-' : `${name} ${version}`;
  const server = [namespace, serverName].filter(text => text !== undefined).join('/');
  const now = Date.now();
  return [
    shownId(id, full),
    age(now - data.createdAt),
    age(now - data.lastActivity),
    ...[client, protocolVersion ?? '-', principalText(principal), server || '-'].map(text => shorten(harmless(text)))
  ];
}

function shorten(text: string): string {
  return text.length <= 40 ? text : `${text.slice(0, 39)}…`;
}

/** The default principal is `[issuer, subject]` as JSON: the subject says more, so it comes first. */
function principalText(principal: string | undefined): string {
  if (principal === undefined) return '-';
  try {
    const parsed: unknown = JSON.parse(principal);
    if (Array.isArray(parsed) && parsed.length === 2) return `${String(parsed[1])} of ${String(parsed[0])}`;
  } catch {
    // A principal of the application's own form.
  }
  return principal;
}

/**
 * What `--json` prints of a session: named fields only. Other metadata may contain tokens, for example of client
 * sessions, so only its names are printed.
 */
export function sessionJson({ id, data }: Listed, full: boolean): Record<string, unknown> {
  const session = shownId(id, full);
  if (!data) return { session, readable: false };
  const { mcp, ...other } = data.metadata ?? {};
  const { initialize, protocolVersion, principal, serverName, namespace, logLevel, subscriptions } = mcp ?? {};
  const { name, version } = initialize?.clientInfo ?? {};
  return {
    session,
    readable: true,
    initialized: data.initialized,
    createdAt: new Date(data.createdAt).toISOString(),
    lastActivity: new Date(data.lastActivity).toISOString(),
    client: name === undefined ? undefined : { name, version },
    capabilities: initialize?.capabilities && Object.keys(initialize.capabilities),
    protocolVersion,
    principal,
    server: serverName,
    namespace,
    logLevel,
    subscriptions: subscriptions?.length ?? 0,
    otherMetadata: Object.keys(other)
  };
}
