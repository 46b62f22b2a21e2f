import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import type { Transport } from 'mcp-sdk-upstream/shared/transport.js';
import type { RequestInfo } from 'mcp-sdk-upstream/types.js';
import type { jsonSchemaValidator } from 'mcp-sdk-upstream/validation/types.js';
import type { ReportError } from '../report.js';

/** What a server factory makes: `McpServer`, `Server`, or anything else that speaks to a transport. */
export interface ConnectableServer {
  /** Connects the server to the transport of its session. */
  connect(transport: Transport): Promise<void>;
  /** Closes the server and its transport. */
  close(): Promise<void>;
}

/** What a server factory is told of the session that it makes a server for. */
export interface ServerContext {
  /** Whether the session began elsewhere, or earlier, and is being rebuilt on this pod. */
  readonly recovering: boolean;
  /** Of the session that is being rebuilt; a new session has no id yet. */
  readonly sessionId: string | undefined;
  /** Of the request that made this server necessary. */
  readonly authInfo: AuthInfo | undefined;
  /** Headers and URL of the request that made this server necessary. */
  readonly requestInfo: RequestInfo;
  /**
   * Shared by all servers of this pod, for the option of that name of `McpServer` and `Server`. Without it each makes a
   * validator of its own, which takes most of the time that it takes to make a server.
   */
  readonly jsonSchemaValidator: jsonSchemaValidator;
}

/** Makes the server of one session, not connected yet: called once per session on each pod that serves it. */
export type ServerFactory = (context: ServerContext) => ConnectableServer | Promise<ConnectableServer>;

/** Closes a server; an error is reported. */
export async function closeServer(server: ConnectableServer, report: ReportError): Promise<void> {
  try {
    await server.close();
  } catch (error) {
    report(error as Error);
  }
}
