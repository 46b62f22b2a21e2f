import { HttpServerTransport } from '../adapters/httpServerTransport.js';
import type { TransportOptions } from '../engine/transportOptions.js';
import { UnsupportedRuntimeError } from '../errors.js';
import { V1 } from './dialect.js';

/** The members that both public transports share: everything except `handleRequest`. */
export abstract class SdkTransport extends HttpServerTransport {
  /**
   * @throws InvalidOptionError if an option has an invalid value
   * @throws UnsupportedRuntimeError on a Node that is too old
   */
  constructor(options: TransportOptions = {}) {
    super(options, V1);
  }

  /**
   * Only servers of version 2 of the SDK call this, in `connect`.
   * @throws UnsupportedRuntimeError always. Such a server would seem to work, but its scope checks would not be
   *   enforced
   */
  setSupportedProtocolVersions(): never {
    throw new UnsupportedRuntimeError(
      'mcp-sdk-anypod does not support servers of version 2 of the SDK (@modelcontextprotocol/server): ' +
        'connect a server of @modelcontextprotocol/sdk 1.x, or use the transports of mcp-server-anypod'
    );
  }
}
