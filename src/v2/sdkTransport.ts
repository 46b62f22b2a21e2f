import type { ScopeChallengeHandler } from '@modelcontextprotocol/server';
import { engineOf, HttpServerTransport } from '../adapters/httpServerTransport.js';
import type { TransportOptions } from '../engine/transportOptions.js';
import { UnsupportedRuntimeError } from '../errors.js';
import { V2 } from './dialect.js';
import { challengeOf } from './scopeChallenge.js';

/** The options that only transports of version 2 of the SDK have. */
export interface SdkTransportOptions extends TransportOptions {
  /**
   * The protocol versions that the transport accepts in requests. A server that connects sets its own.
   * @default those of the SDK
   */
  supportedProtocolVersions?: string[];
}

const KNOWS_SERVER = Symbol('knowsServer');

/** The members that both public transports share: everything except `handleRequest`. */
export abstract class SdkTransport extends HttpServerTransport {
  /** A property, not a `#private` field, as in {@link HttpServerTransport}. */
  declare private [KNOWS_SERVER]: boolean;

  /**
   * @throws InvalidOptionError if an option has an invalid value
   * @throws UnsupportedRuntimeError on a Node or an SDK that is too old
   */
  constructor(options: SdkTransportOptions = {}) {
    super(options, V2);
    const value = options.supportedProtocolVersions !== undefined;
    Object.defineProperty(this, KNOWS_SERVER, { value, writable: true });
  }

  /**
   * Called by `connect`.
   * @throws Error if called twice
   * @throws UnsupportedRuntimeError if the server is not one of version 2 of the SDK
   */
  override async start(): Promise<void> {
    if (!this[KNOWS_SERVER]) {
      throw new UnsupportedRuntimeError(
        'mcp-server-anypod needs a server of version 2 of the SDK (@modelcontextprotocol/server). For servers of ' +
          '@modelcontextprotocol/sdk use mcp-sdk-anypod; without a server, call setSupportedProtocolVersions before start'
      );
    }
    await super.start();
  }

  /** Sets the protocol versions that requests may name. Called by `connect` of a server, with its own. */
  setSupportedProtocolVersions(versions: string[]): void {
    this[KNOWS_SERVER] = true;
    engineOf(this).supportedVersions = versions;
  }

  /** Sets the check of the scopes of each request. Called by `connect` of an `McpServer`. */
  setScopeChallengeResolver(resolver: ScopeChallengeHandler): void {
    const engine = engineOf(this);
    const first = engine.scopeChallenge;
    engine.scopeChallenge = async (messages, exchange) =>
      (await first?.(messages, exchange)) ?? challengeOf(messages, exchange, resolver, engine.report);
  }
}
