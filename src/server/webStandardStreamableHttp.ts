import type { HandleRequestOptions } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import type { TransportOptions } from '../engine/options.js';
import { engineOf, HttpServerTransport } from '../adapters/httpServerTransport.js';
import { toResponse, WebExchange } from '../adapters/webExchange.js';

export type {
  EventId,
  EventStore,
  HandleRequestOptions,
  StreamId
} from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
export type { TransportOptions as WebStandardStreamableHTTPServerTransportOptions };

/**
 * The Streamable HTTP server transport on web-standard `Request` and `Response`, for any runtime that has them.
 * With `sessionStorageMode: 'external'` its session is served by any pod that shares the `sessionStore`.
 */
export class WebStandardStreamableHTTPServerTransport extends HttpServerTransport {
  /** Answers one HTTP request: POST, GET or DELETE. */
  async handleRequest(request: Request, options?: HandleRequestOptions): Promise<Response> {
    return toResponse(await engineOf(this).handle(new WebExchange(request, options)));
  }
}
