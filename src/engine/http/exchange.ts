import type { AuthInfo } from '../../sdkTypes.js';
import { WaitBudget } from '../../deadline.js';
import type { RequestSource } from './requestSource.js';
import type { RefusalReason } from '../../events/payloads.js';
import type { ObservedExchange } from '../../events/observed.js';

/** The body of a request as text, or the fact that it is over the limit, or that other code has read it before. */
export type BodyRead =
  { tooLarge: true } | { tooLarge: false; text: string; wasRead?: undefined } | { tooLarge: false; wasRead: true };

/**
 * One HTTP request and the means to answer it: the only part of a runtime that the engine knows. Adapters make one
 * exchange per request; see `server/streamableHttp.ts` and `server/webStandardStreamableHttp.ts`.
 */
export interface Exchange extends RequestSource {
  readonly authInfo: AuthInfo | undefined;
  /** The body if it has been parsed, else undefined. */
  parsedBody: unknown;
  /** Whether the runtime knows that the client has left. */
  readonly gone: boolean;
  /** How long stores and bus may keep the client waiting: see {@link waitsOf}. */
  waits?: WaitBudget;
  /** Set if somebody listens to exchanges. */
  readonly observed: ObservedExchange | undefined;
  /** Absent if the runtime runs on by itself. Else it stops after the reply, unless this was called. */
  readonly waitFor?: ((work: Promise<unknown>) => void) | undefined;
  /** A request header as the Fetch standard's `Headers.get` gives it. */
  header(name: string): string | null;
  readBody(maxBytes: number): Promise<BodyRead>;
  /** A sink for an event stream; nothing reaches the client before the engine replies with it. */
  openEventStream(): EventSink;
}

/** The time that an exchange may wait for stores and bus, shared by all its calls. */
export function waitsOf(exchange: Exchange, { storeTimeoutMs }: { storeTimeoutMs: number }): WaitBudget {
  return (exchange.waits ??= new WaitBudget(storeTimeoutMs));
}

/** The writer of a stream. */
export interface StreamWriter {
  /** Settles when the event log has the next message, which then follows at once. Undefined if none is on its way. */
  readonly nextMessage?: Promise<unknown> | undefined;
  /** Called once after the head of the response was sent and the stream stays open. */
  opened?(): void;
  /** Called once when the client goes away before `end`. */
  gone(): void;
  /** Called once if the client was disconnected because it did not read what was written before `end`. */
  unread?(problem: Error): void;
}

/** The server's end of one SSE response. */
export interface EventSink {
  /** Is notified about the state of the sink. */
  writer: StreamWriter | undefined;
  /** Bytes that the client has not read yet. */
  readonly bufferedBytes: number;
  /**
   * @returns undefined if more can be written now, else a promise that settles after the client has read, or has left
   */
  write(text: string): void | Promise<void>;
  /** Ends the stream after the written data. */
  end(): void;
  /** Disconnects the client at once. Unread data is dropped. */
  disconnect(reason: Error): void;
}

/** The answer to an exchange: one body, no body, or a stream of events. */
export interface Reply {
  readonly status: number;
  /** Names in lower case, in alphabetical order. */
  readonly headers: Record<string, string>;
  readonly body: string | EventSink | null;
  /** Set if the request was refused because of its session or of the pod's state. */
  readonly refusal?: RefusalReason;
}

/** Whether a value is a reply. Functions return another value if the exchange may continue. */
export function isReply(value: object): value is Reply {
  return 'status' in value;
}
