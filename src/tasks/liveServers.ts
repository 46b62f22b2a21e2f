import type { JSONRPCErrorResponse, JSONRPCRequest } from 'mcp-sdk-upstream/types.js';

/** A session's server in this process, as those need it who keep tasks and their messages. */
export interface SessionServer {
  /** Whether it still serves the session. */
  readonly live: boolean;
  /**
   * Sends a request of this server by a way of the caller's, under the id that its client will see. The answer is
   * awaited from before it is sent on, unless `send` fails.
   */
  sendBy(request: JSONRPCRequest, send: (addressed: JSONRPCRequest) => Promise<void>): Promise<void>;
  /**
   * Gives a failure to the server that asked, here or on another pod. What cannot be done is reported, not thrown.
   * @returns false where the id names no server
   */
  fail(response: JSONRPCErrorResponse): Promise<boolean>;
  /** Keeps the server live on this pod until the returned function is called. */
  retain(): () => void;
}

/**
 * The server that spoke last for each session that other pods share. A process has one server of a session, unless it
 * is several pods in one.
 */
const servers = new Map<string, SessionServer>();

export function sessionServer(sessionId: string | undefined): SessionServer | undefined {
  return sessionId === undefined ? undefined : servers.get(sessionId);
}

export function registerServer(sessionId: string, server: SessionServer): void {
  servers.set(sessionId, server);
}

export function unregisterServer(sessionId: string, server: SessionServer): void {
  if (servers.get(sessionId) === server) servers.delete(sessionId);
}
