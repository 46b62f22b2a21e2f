import { SessionRecoveryError } from '../../errors.js';
import type { SessionData } from '../../ports/sessionStore.js';
import type { SessionContext } from '../context.js';

/** Names of another form, for example longer ones, are not stored. */
const KEPT_NAME = /^[\x20-\x7e]{1,64}$/;

/** The hosts that have reported it already, and the stores of transports that the application made. */
const reported = new WeakSet<object>();

/** The name in a server's answer to `initialize`, if it can be stored. */
export function serverNameOf(result: unknown): string | undefined {
  const { name } = (result as { serverInfo?: { name?: unknown } } | undefined)?.serverInfo ?? {};
  return typeof name === 'string' && KEPT_NAME.test(name) ? name : undefined;
}

/**
 * Reports once that this pod recovers a session of a server with another name: two MCP servers may share a store
 * without separate namespaces. The session is still served, because a rolling deploy may rename a server.
 */
export function reportOtherServer(
  { options, report }: SessionContext,
  { metadata }: SessionData,
  name: string | undefined
): void {
  const opened = metadata?.mcp?.serverName;
  if (opened === undefined || name === undefined || opened === name || options.namespace !== undefined) return;
  const pod = options.isMadeByApplication ? options.store : options;
  if (!pod || reported.has(pod)) return;
  reported.add(pod);
  report(
    new SessionRecoveryError(
      `The server ${JSON.stringify(name)} recovered a session that the server ${JSON.stringify(opened)} opened, and serves ` +
        'it. If they are two MCP servers on one store, give each the option namespace, or a key prefix of its own; if the ' +
        'server was renamed, nothing is wrong'
    )
  );
}
