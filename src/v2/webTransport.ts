import { engineOf } from '../adapters/httpServerTransport.js';
import { respond, WebExchange } from '../adapters/webExchange.js';
import type { HandleRequestOptions } from '../sdkTypes.js';
import { SdkTransport, type SdkTransportOptions } from './sdkTransport.js';

export type { SdkTransportOptions as WebStandardStreamableHTTPServerTransportOptions };

/**
 * The Streamable HTTP server transport on web-standard `Request` and `Response`, for any runtime that has them.
 * With `sessionStorageMode: 'external'` its session is served by any pod that shares the `sessionStore`.
 */
export class WebStandardStreamableHTTPServerTransport extends SdkTransport {
  /**
   * Answers one HTTP request: POST, GET or DELETE.
   * @param request - its body must not have been read, unless `options.parsedBody` is given
   * @param options - `parsedBody`: the body, if a framework has parsed it; `authInfo`: the result of authentication
   * @returns the response. The body of a stream ends after either side has ended it
   * @throws Error if the transport has no sessions and has served a request before; whatever an application's callback throws
   */
  handleRequest(request: Request, options?: HandleRequestOptions): Promise<Response> {
    const exchange = new WebExchange(request, options);
    return respond(exchange, () => engineOf(this).handle(exchange));
  }
}
