import type { JSONRPCRequest, RequestId } from 'mcp-sdk-upstream/types.js';
import type { Connection } from './connection.js';
import type { LoggedStream } from './eventLog.js';
import type { Reply } from '../http/exchange.js';
import type { Response } from '../http/jsonRpc.js';

/** A stream as the client knows it: it outlives the connection when the client resumes. */
export interface Stream extends LoggedStream {
  connection: Connection | undefined;
}

/** The stream that answers one POST: it ends when each of its requests has its response. */
export interface RequestStream extends Stream {
  readonly requests: OpenRequest[];
  unanswered: number;
  /** Whether the client has a cursor on this stream, so that a response can wait for it in the log. */
  resumable: boolean;
  /** Whether the client has resumed the stream on another pod. */
  moved: boolean;
  /** In JSON mode: answers the exchange. */
  reply: ((reply: Reply) => void) | undefined;
}

/** A request of the client that the server has not answered yet. */
export interface OpenRequest {
  /** What the server knows the request by: the client's id, or a stand-in while that id is taken. */
  readonly id: RequestId;
  readonly message: JSONRPCRequest;
  readonly stream: RequestStream;
  /** Whether the server has been asked, and told since that no answer is wanted any more. */
  state: 'open' | 'asked' | 'cancelled';
  response: Response | undefined;
  /** Runs before a successful result reaches the client: what it changed is stored before it is seen. */
  onresult: ((result: Record<string, unknown>) => void | Promise<void>) | undefined;
}
