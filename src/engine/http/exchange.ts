import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import { WaitBudget } from '../../deadline.js';
import type { LazyRequestInfo } from './requestInfo.js';

/** The body of a request as text, or the fact that it is over the limit. */
export type BodyRead = { tooLarge: true } | { tooLarge: false; text: string };

/**
 * One HTTP request and the means to answer it: all that the engine knows of a runtime.
 * Adapters make one of it per request; see `server/streamableHttp.ts` and `server/webStandardStreamableHttp.ts`.
 */
export interface Exchange {
  readonly method: string;
  readonly authInfo: AuthInfo | undefined;
  /** The body where a framework has parsed it already, else undefined. */
  readonly parsedBody: unknown;
  /** Headers and URL for the application. */
  readonly requestInfo: LazyRequestInfo;
  /** Whether the client has left, as far as the runtime tells: then nobody reads the reply. */
  readonly gone: boolean;
  /** How long stores and bus may keep the client waiting: see {@link waitsOf}. */
  waits?: WaitBudget;
  /** A request header as the Fetch standard's `Headers.get` gives it. */
  header(name: string): string | null;
  readBody(maxBytes: number): Promise<BodyRead>;
  /** A sink for an event stream; nothing reaches the client before the engine replies with it. */
  openEventStream(): EventSink;
}

/** The time that an exchange may spend waiting for stores and bus, shared by all calls that are made for it. */
export function waitsOf(exchange: Exchange, { storeTimeoutMs }: { storeTimeoutMs: number }): WaitBudget {
  return (exchange.waits ??= new WaitBudget(storeTimeoutMs));
}

/** Whoever writes to a stream. */
export interface StreamWriter {
  /** Called once when the head of the response has gone out and the stream stays open. */
  opened?(): void;
  /** Called once when the client goes away before `end`. */
  gone(): void;
  /** Called once if the client was disconnected because it did not read what was written before `end`. */
  unread?(problem: Error): void;
}

/** The server's end of one SSE response. */
export interface EventSink {
  /** Told what becomes of it. */
  writer: StreamWriter | undefined;
  /** Bytes that the client has not taken yet. */
  readonly bufferedBytes: number;
  /** @returns nothing while there is room, else a promise that settles when there is room again or the client is gone */
  write(text: string): void | Promise<void>;
  /** Ends behind what has been written. */
  end(): void;
  /** Disconnects the client at once: what it has not taken is let go. */
  cut(reason: Error): void;
}

/** What an exchange is answered with: one body, none, or a stream of events. */
export interface Reply {
  readonly status: number;
  /** Names in lower case, in alphabetical order. */
  readonly headers: Record<string, string>;
  readonly body: string | EventSink | null;
}

/** Whether this is a reply, where a function returns something else when the exchange may go on. */
export function isReply(value: object): value is Reply {
  return 'status' in value;
}
