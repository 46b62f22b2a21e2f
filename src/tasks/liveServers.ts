import type { JSONRPCErrorResponse, JSONRPCRequest } from '../sdkTypes.js';

/** A session's server in this process, for task stores and queues of task messages. */
export interface SessionServer {
  /** Whether it still serves the session. */
  readonly live: boolean;
  /**
   * Sends a request of this server with the caller's `send`, under the id that the client will see. The server waits
   * for the answer before `send` is called. If `send` fails, it stops waiting.
   */
  sendBy(request: JSONRPCRequest, send: (addressed: JSONRPCRequest) => Promise<void>): Promise<void>;
  /**
   * Sends a failure to the server that made the request, here or on another pod. Errors are reported, not thrown.
   * @returns false if the id does not name a server
   */
  fail(response: JSONRPCErrorResponse): Promise<boolean>;
  /** Keeps the server live on this pod until the returned function is called. */
  retain(): () => void;
}

/**
 * The server that was registered last for each session in external mode. A process has one server per session, unless
 * it runs several pods.
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
