import type { JSONRPCMessage, MessageExtraInfo, RequestId } from 'mcp-sdk-upstream/types.js';
import type { WaitBudget } from '../deadline.js';
import type { ReportError } from '../report.js';
import type { StateAccess } from './http/requestInfo.js';
import type { ResolvedOptions } from './options.js';

/** One session on this pod, as the parts of its engine see it. `Engine` implements it. */
export interface SessionContext {
  readonly options: ResolvedOptions;
  readonly report: ReportError;
  /** The application's state of the session. */
  readonly state: StateAccess;
  sessionId: string | undefined;
  /** Whether this pod has forgotten the session. */
  readonly closed: boolean;
  /** Requests that have not been answered, and exchanges that have not been replied to. */
  readonly inFlight: number;
  /** Whether a server is connected. */
  readonly hasServer: boolean;
  /** Counts as an exchange until the returned function is called. */
  retain(): () => void;
  /** A client holds a stream that stays open, or waits for a JSON answer. */
  attached(): void;
  /** Hands the server a message of its client. */
  dispatch(message: JSONRPCMessage, extra: MessageExtraInfo): void;
  /** Hands the server a message of its client that came to another pod. */
  receive(message: JSONRPCMessage, extra: MessageExtraInfo): Promise<void>;
  /** Sends a message of the server to the client. */
  send(message: JSONRPCMessage): Promise<void>;
  /** Reads the record again, because another pod has changed it. */
  refresh(): Promise<void>;
  /** Forgets the session here, because it has ended on every pod. */
  onEnded(): Promise<void>;
  closeSSEStream(requestId: RequestId): void;
  closeStandaloneSSEStream(): void;
}

/** The answer of a pod that was asked for a stream: 'gone' if none came in time, 'unasked' if the bus did not take the question. */
export type StreamState = 'open' | 'done' | 'gone' | 'unasked';

/** The other pods that serve a session, in external mode. `Routing` implements it. */
export interface OtherPods {
  /** Names this pod's server of the session: in ids on the wire, and on the bus. */
  readonly instance: string;
  /** Listens to the other pods from now on. */
  join(sessionId: string, waits?: WaitBudget): Promise<void>;
  /** Tells them that this pod has changed the record. */
  changed(waits?: WaitBudget): Promise<void>;
  /**
   * Tells them that the session has ended.
   * @param sessionId - if this pod does not serve it
   */
  ended(waits?: WaitBudget, sessionId?: string): Promise<void>;
  /** Sends a message to the pod that holds the client's GET stream. */
  toStandalone(message: JSONRPCMessage, eventId: string | undefined): Promise<void>;
  /** Sends a message to the pod on which the client has resumed this request stream. */
  toStream(streamId: string, message: JSONRPCMessage, eventId: string | undefined): Promise<void>;
  /** Tells the pod to which the client of this stream is attached that a message has an event id now, which it had not. */
  storedLate(streamId: string, message: JSONRPCMessage, eventId: string): Promise<void>;
  /** Tells the pod to which the client of this stream is attached to close it. */
  streamEnded(streamId: string): Promise<void>;
  /** Tells them that the client has this stream here now. */
  announce(streamId: string): Promise<void>;
  /** Asks the pod that runs a stream's requests for its state, and tells it that the client is here now. */
  ask(streamId: string): Promise<StreamState>;
  /**
   * Tells them that the client has opened its GET stream here, without naming an event that it has seen.
   * @param since - when its request came, by `performance.now()`
   */
  standaloneOpened(since: number): Promise<void>;
  /** Whether another pod holds the client's GET stream and keeps it. */
  standaloneIsHeld(): Promise<boolean>;
}
