import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import type { TransportOptions } from '../engine/transportOptions.js';
import { answerExchange, NodeExchange } from '../adapters/nodeExchange.js';
import { engineOf } from '../adapters/httpServerTransport.js';
import { SdkTransport } from './sdkTransport.js';

export type { EventId, EventStore, StreamId } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
export type { TransportOptions as StreamableHTTPServerTransportOptions };

/**
 * The Streamable HTTP server transport on Node's own HTTP objects, written to directly.
 * With `sessionStorageMode: 'external'` its session is served by any pod that shares the `sessionStore`.
 */
export class StreamableHTTPServerTransport extends SdkTransport {
  /**
   * Answers one HTTP request: POST, GET or DELETE.
   * @param req - with `auth` if a middleware has authenticated it
   * @param parsedBody - the body if a middleware has parsed it
   * @returns when the response is complete: for a stream, when either side has ended it
   */
  handleRequest(req: IncomingMessage & { auth?: AuthInfo }, res: ServerResponse, parsedBody?: unknown): Promise<void> {
    const engine = engineOf(this);
    const exchange = new NodeExchange(req, res, parsedBody, engine.report);
    return answerExchange(exchange, () => engine.handle(exchange));
  }
}
