import type { JSONRPCMessage, MessageExtraInfo, RequestId } from '../sdkTypes.js';
import type { WaitBudget } from '../deadline.js';
import type { EndCause } from '../events/podEvents.js';
import type { ReportError } from '../report.js';
import type { StateAccess } from './http/requestSource.js';
import type { ResolvedOptions } from './options.js';

/** One session on this pod, for the parts of its engine. `Engine` implements it. */
export interface SessionContext {
  readonly options: ResolvedOptions;
  readonly report: ReportError;
  /** The protocol versions that the server supports, the newest first. */
  readonly supportedVersions: readonly string[];
  /** The application's state of the session. */
  readonly state: StateAccess;
  sessionId: string | undefined;
  /** Whether this pod has forgotten the session. */
  readonly closed: boolean;
  /** The number of requests without an answer and exchanges without a reply. */
  readonly inFlight: number;
  /** Whether a server is connected. */
  readonly hasServer: boolean;
  /** Adds one to the open exchanges until the returned function is called. */
  retain(): () => void;
  /** Notes that a client has an open stream, or waits for a JSON answer. */
  attached(): void;
  /** Passes a message of the client to the server. */
  dispatch(message: JSONRPCMessage, extra: MessageExtraInfo): void;
  /** Passes a message of the client that arrived at another pod to the server. */
  receive(message: JSONRPCMessage, extra: MessageExtraInfo): Promise<void>;
  /** Sends a message of the server to the client. */
  send(message: JSONRPCMessage): Promise<void>;
  /** Reads the record again after another pod has changed it. */
  refresh(): Promise<void>;
  /** Forgets the session on this pod after it has ended on every pod. */
  onEnded(cause: EndCause): Promise<void>;
  closeSSEStream(requestId: RequestId): void;
  closeStandaloneSSEStream(): void;
}

/**
 * A pod's answer to a question about a stream: 'gone' if none arrived in time, 'unasked' if the bus did not take the
 * question.
 */
export type StreamState = 'open' | 'done' | 'gone' | 'unasked';

/** The other pods that serve a session, in external mode. `Routing` implements it. */
export interface OtherPods {
  /** Identifies this pod's server of the session: in ids on the wire, and on the bus. */
  readonly instance: string;
  /** Starts to listen to the other pods. */
  join(sessionId: string, waits?: WaitBudget): Promise<void>;
  /** Informs them that this pod has changed the record. */
  changed(waits?: WaitBudget): Promise<void>;
  /**
   * Informs them that the session has ended.
   * @param sessionId - required if this pod does not serve the session
   */
  ended(waits?: WaitBudget, sessionId?: string): Promise<void>;
  /** Sends a message to the pod that holds the client's GET stream. */
  toStandalone(message: JSONRPCMessage, eventId: string | undefined): Promise<void>;
  /** Sends a message to the pod on which the client has resumed this request stream. */
  toStream(streamId: string, message: JSONRPCMessage, eventId: string | undefined): Promise<void>;
  /** Sends the pod with the attached client of this stream the event id of a message that was sent without one. */
  storedLate(streamId: string, message: JSONRPCMessage, eventId: string): Promise<void>;
  /** Makes the pod with the attached client of this stream close it. */
  streamEnded(streamId: string, waits?: WaitBudget): Promise<void>;
  /** Informs them that the client has this stream here now. */
  announce(streamId: string, waits?: WaitBudget): Promise<void>;
  /** Asks the owner of a stream's requests for its state, and informs it that the client is here now. */
  ask(streamId: string, waits?: WaitBudget): Promise<StreamState>;
  /**
   * Informs them that the client has opened its GET stream here, without `Last-Event-ID`.
   * @param since - when its request arrived, by `performance.now()`
   */
  standaloneOpened(since: number, waits?: WaitBudget): Promise<void>;
  /** Whether another pod holds the client's GET stream and keeps it. */
  standaloneIsHeldElsewhere(waits?: WaitBudget): Promise<boolean>;
}
