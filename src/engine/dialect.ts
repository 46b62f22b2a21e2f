import type { JSONRPCMessage, jsonSchemaValidator, MessageExtraInfo, RequestInfo } from '../sdkTypes.js';
import type { OnWarning } from '../installation.js';
import type { Exchange } from './http/exchange.js';
import type { StateAccess } from './http/requestSource.js';

/** Everything in which the supported versions of the SDK differ. Each package has one. */
export interface Dialect {
  /** The names of options that only this version of the SDK has. */
  readonly optionNames: Readonly<Record<string, true>>;
  /**
   * The protocol versions of a server that does not say which it supports, the newest first.
   * @throws InvalidOptionError
   */
  supportedVersionsOf(options: object): readonly string[];
  /** Whether a client that opens a session with an unknown, newer version gets priming events. */
  readonly primesUnknownVersions: boolean;
  /** Whether sending an answer fails if its client has left and cannot resume. Otherwise the loss is reported. */
  readonly failsWithoutClient: boolean;
  /** Whether a resumed stream ends after its last answer in memory mode too. In external mode it always ends. */
  readonly endsResumedStreams: boolean;
  /** Whether the SDK's server would take the message as `initialize`. */
  readonly isInitialize: (message: JSONRPCMessage) => boolean;
  /** An HTTP request, as the application sees it. */
  requestInfoOf(exchange: Exchange): RequestInfo;
  /** The extra information that the server gets with a message: its exchange and the state of its session. */
  extraOf(exchange: Exchange, state: StateAccess): MessageExtraInfo;
  /**
   * Makes a JSON Schema validator for the servers of a pod. `prepare` is awaited before a server gets it. Absent if
   * the SDK's servers make their own only when they need it, and for transports.
   */
  readonly newValidator?: () => jsonSchemaValidator & { prepare(): Promise<void> | undefined };
  /**
   * Checks the runtime and the installed version of the SDK, once for each process.
   * @param onWarning - instead of a process warning
   * @throws UnsupportedRuntimeError
   */
  checkInstallation(onWarning?: OnWarning): void;
  /** The installed versions of this package and of the SDK; '' if unknown. */
  readonly versions?: () => { version: string; sdkVersion: string };
}
