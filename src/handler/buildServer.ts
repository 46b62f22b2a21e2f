import type { HttpServerTransport } from '../adapters/httpServerTransport.js';
import { InvalidOptionError } from '../errors.js';
import type { Exchange } from '../engine/http/exchange.js';
import { StreamableHTTPServerTransport } from '../server/streamableHttp.js';
import { kindOf } from '../validate.js';
import type { ResolvedOptions } from '../engine/options.js';
import type { ReportError } from '../report.js';
import type { ConnectableServer, ServerFactory } from './serverFactory.js';
import { SharedJsonSchemaValidator } from './sharedValidator.js';

/** Builds a server for a session and connects it to a new transport. */
export class ServerBuilder {
  readonly #factory: ServerFactory;
  readonly #options: ResolvedOptions;
  readonly #report: ReportError;
  readonly #jsonSchemaValidator = new SharedJsonSchemaValidator();

  constructor(factory: ServerFactory, options: ResolvedOptions, report: ReportError) {
    this.#factory = factory;
    this.#options = options;
    this.#report = report;
  }

  /**
   * @param sessionId - the id of a recovered session; undefined for a new session
   * @throws InvalidOptionError if the factory does not return a server. Errors of the factory are passed on
   */
  async build(
    exchange: Exchange,
    sessionId: string | undefined
  ): Promise<{ transport: HttpServerTransport; server: ConnectableServer }> {
    const { authInfo, requestInfo } = exchange;
    const server = await this.#factory({
      recovering: sessionId !== undefined,
      sessionId,
      authInfo,
      requestInfo,
      jsonSchemaValidator: this.#jsonSchemaValidator
    });
    checkServer(server);
    const transport: HttpServerTransport = new StreamableHTTPServerTransport(this.#options);
    transport.onerror = this.#report;
    await server.connect(transport);
    return { transport, server };
  }
}

function checkServer(server: ConnectableServer | undefined): void {
  if (typeof server?.connect === 'function') return;
  throw new InvalidOptionError(
    'serverFactory',
    `a function that returned ${kindOf(server)}`,
    'one that returns a server'
  );
}
