import { SessionRecoveryError } from '../../errors.js';
import type { SessionData } from '../../ports/sessionStore.js';
import type { SessionContext } from '../context.js';

/** Another name, a longer one for example, is not kept with a session. */
const KEPT_NAME = /^[\x20-\x7e]{1,64}$/;

/** Pods, and stores of transports that the application made itself, that have had the report. */
const reported = new WeakSet<object>();

/** The name in a server's answer to `initialize`, if it can be kept. */
export function serverNameOf(result: unknown): string | undefined {
  const { name } = (result as { serverInfo?: { name?: unknown } } | undefined)?.serverInfo ?? {};
  return typeof name === 'string' && KEPT_NAME.test(name) ? name : undefined;
}

/**
 * Reports once that this pod recovers a session of a server with another name: two MCP servers share a store, and nothing
 * separates their sessions. The session is served all the same, because a server may be renamed in a rolling deploy.
 */
export function reportOtherServer(
  { options, report }: SessionContext,
  { metadata }: SessionData,
  name: string | undefined
): void {
  const opened = metadata?.mcp?.serverName;
  if (opened === undefined || name === undefined || opened === name || options.namespace !== undefined) return;
  const pod = options.isHandWired ? options.store : options;
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
