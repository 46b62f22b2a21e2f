import type { AuthInfo, jsonSchemaValidator, RequestInfo, Transport } from '../sdkTypes.js';
import type { ReportError } from '../report.js';

/** The result of a server factory: `McpServer`, `Server`, or another object that connects to a transport. */
export interface ConnectableServer {
  /** Connects the server to the transport of its session. */
  connect(transport: Transport): Promise<void>;
  /** Closes the server and its transport. */
  close(): Promise<void>;
}

/** Information for a server factory about the session of the new server. */
export interface ServerContext {
  /** Whether the session exists already and is being recovered on this pod. */
  readonly recovering: boolean;
  /** The id of the recovered session. Undefined for a new session: it does not have an id yet. */
  readonly sessionId: string | undefined;
  /** The auth info of the request that needs this server. */
  readonly authInfo: AuthInfo | undefined;
  /** Headers and URL of the request that needs this server. */
  readonly requestInfo: RequestInfo;
  /**
   * One validator for all servers of this pod: pass it as the option of the same name to `McpServer` or `Server`.
   * Without it each server makes its own validator, and that is most of the cost of a server. Where the runtime does not
   * allow generated code (Workers, edge runtimes), it needs the package `@cfworker/json-schema`, and the SDK's own
   * validator fails.
   */
  readonly jsonSchemaValidator: jsonSchemaValidator;
}

/**
 * Makes the server of one session and does not connect it. Called once per session on each pod that serves the session.
 */
export type ServerFactory = (context: ServerContext) => ConnectableServer | Promise<ConnectableServer>;

/** Closes a server; an error is reported. */
export async function closeServer(server: ConnectableServer, report: ReportError): Promise<void> {
  try {
    await server.close();
  } catch (error) {
    report(error as Error);
  }
}
