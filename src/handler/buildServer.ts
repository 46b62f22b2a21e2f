import type { HttpServerTransport } from '../adapters/httpServerTransport.js';
import { InvalidOptionError } from '../errors.js';
import type { Exchange } from '../engine/http/exchange.js';
import type { jsonSchemaValidator } from '../sdkTypes.js';
import { kindOf } from '../validate.js';
import type { ResolvedOptions } from '../engine/options.js';
import type { ReportError } from '../report.js';
import type { ConnectableServer, ServerFactory } from './serverFactory.js';

/** Makes the transport of one session. */
export type NewTransport = (options: ResolvedOptions) => HttpServerTransport;

/** Builds a server for a session and connects it to a new transport. */
export class ServerBuilder {
  readonly #factory: ServerFactory;
  readonly #options: ResolvedOptions;
  readonly #report: ReportError;
  readonly #newTransport: NewTransport;
  readonly #jsonSchemaValidator: ReturnType<NonNullable<ResolvedOptions['dialect']['newValidator']>> | undefined;
  readonly #connected = new WeakSet<ConnectableServer>();

  constructor(factory: ServerFactory, newTransport: NewTransport, options: ResolvedOptions, report: ReportError) {
    this.#factory = factory;
    this.#newTransport = newTransport;
    this.#jsonSchemaValidator = options.dialect.newValidator?.();
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
    const preparing = this.#jsonSchemaValidator?.prepare();
    if (preparing) await preparing;
    const server = await this.#factory({
      recovering: sessionId !== undefined,
      sessionId,
      authInfo: exchange.authInfo,
      requestInfo: this.#options.dialect.requestInfoOf(exchange),
      // Factories for an SDK whose servers do not need it do not get it: see `newValidator`.
      jsonSchemaValidator: this.#jsonSchemaValidator as jsonSchemaValidator
    });
    checkServer(server);
    const transport = this.#newTransport(this.#options);
    transport.onerror = this.#report;
    try {
      await server.connect(transport);
    } catch (error) {
      throw this.#connected.has(server) ? sharedServer(error) : error;
    }
    this.#connected.add(server);
    return { transport, server };
  }
}

/** A server of the SDK serves one transport at a time, so it refuses the second one. */
function sharedServer(cause: unknown): InvalidOptionError {
  const kind = 'a function that returned the server of another session';
  return Object.assign(new InvalidOptionError('serverFactory', kind, 'one that makes a new server for each call'), {
    cause
  });
}

function checkServer(server: ConnectableServer | undefined): void {
  if (typeof server?.connect === 'function') return;
  throw new InvalidOptionError(
    'serverFactory',
    `a function that returned ${kindOf(server)}`,
    'one that returns a server'
  );
}
