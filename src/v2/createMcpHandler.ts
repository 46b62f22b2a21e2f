import {
  InMemoryServerEventBus,
  type McpRequestContext,
  McpServer,
  type Server,
  type ServerEventBus
} from '@modelcontextprotocol/server';
import { withDeadline } from '../deadline.js';
import { engineOf } from '../adapters/httpServerTransport.js';
import { InvalidOptionError, UnsupportedRuntimeError } from '../errors.js';
import {
  assembleHandler,
  type AssembledHandler,
  closeTimes,
  type McpHandler as SessionsHandler,
  type McpHandlerOptions as SessionsHandlerOptions
} from '../handler/mcpHandler.js';
import type { ServerFactory } from '../handler/serverFactory.js';
import { warnOfServer } from '../report.js';
import { checkFunction, checkMethods, checkNumber, checkOneOf, checkOptionsObject, kindOf } from '../validate.js';
import { V2 } from './dialect.js';
import { SharedServerEventBus } from './eventBus.js';
import { EraRouter } from './eraRouter.js';
import { type ModernOptions, ModernLane } from './modernLane.js';
import { notifyBoth } from './notifyBoth.js';
import { NodeStreamableHTTPServerTransport } from './nodeTransport.js';
import { type AuthorizeSubscription, SubscriptionAuthorization } from './subscriptionAuthorization.js';

/** What a server factory is told: by the SDK, and about a session. */
export interface McpServerContext extends McpRequestContext {
  /** Whether the session exists already and is being recovered on this pod. Only for clients of 2025 versions. */
  recovering?: boolean;
  /** The id of the recovered session. */
  sessionId?: string;
}

/** Makes a new server: for each request of a 2026-07-28 client, and once on each pod for each session of a 2025 client. */
export type McpServerFactory = (context: McpServerContext) => McpServer | Server | Promise<McpServer | Server>;

/** The options of `createMcpHandler`: the SDK's, and those for sessions. */
export interface McpHandlerOptions extends SessionsHandlerOptions, ModernOptions {
  /** How 2025 clients are served: with sessions on any pod. For the SDK's other ways, use its own handler. */
  legacy?: 'sessions';
  /**
   * What becomes of requests of protocol 2026-07-28. Use 'refuse' as long as the balancer also has pods of version 1 of
   * the SDK: they are answered as such a pod answers them, and clients that support both eras open a session.
   * @default 'serve'
   */
  modern?: 'serve' | 'refuse';
  /**
   * The bus of `subscriptions/listen`.
   * @default one that reaches all pods, over the bus of the session store; without one, this process
   */
  bus?: ServerEventBus;
  /** Decides which subscriptions a client may have. @default all that the server supports */
  authorizeSubscription?: AuthorizeSubscription;
  /** The protocol versions that a session's requests may name. @default those of its server */
  supportedProtocolVersions?: string[];
}

/** Serves both protocol eras on one endpoint. Its methods do not need `this`. */
export interface McpHandler extends SessionsHandler {
  /** The bus of `subscriptions/listen`. */
  readonly bus: ServerEventBus;
}

const OPTION_NAMES: Readonly<Record<string, true>> = {
  legacy: true,
  modern: true,
  bus: true,
  authorizeSubscription: true,
  responseMode: true,
  maxSubscriptions: true
};

/**
 * Serves one endpoint for both protocol eras from one server factory. Requests of protocol 2026-07-28 go to the SDK's own
 * handler; clients of 2025 versions have sessions that any pod serves. Authenticate requests before they reach it.
 * @throws InvalidOptionError
 * @throws UnsupportedRuntimeError on a Node or an SDK that is not supported
 */
export function createMcpHandler(factory: McpServerFactory, options: McpHandlerOptions = {}): McpHandler {
  check(factory, options);
  const { authorizeSubscription: authorize } = options;
  const assembled: AssembledHandler = assembleHandler(sessionFactory(factory), options, {
    dialect: { ...V2, optionNames: { ...V2.optionNames, ...OPTION_NAMES } },
    newTransport: resolved => {
      const transport = new NodeStreamableHTTPServerTransport(resolved);
      if (authorization)
        engineOf(transport).scopeChallenge = (messages, exchange) => authorization.refusalOf(messages, exchange);
      return transport;
    },
    route: exchange => router.serve(exchange)
  });
  const { handler, host, report } = assembled;
  const authorization = authorize && new SubscriptionAuthorization(authorize, report);
  const { bus: sessionBus, namespace } = host.options;
  const ownBus =
    options.bus || !sessionBus ? undefined : new SharedServerEventBus({ bus: sessionBus, namespace, onerror: report });
  const bus = options.bus ?? ownBus ?? new InMemoryServerEventBus(report);
  const releaseBus = host.options.retainBus();
  const lane = new ModernLane(
    modernFactory(factory, options.onerror),
    options,
    bus,
    authorization,
    async () => ownBus && untilReady(ownBus, host.options.storeTimeoutMs),
    report
  );
  const router = new EraRouter(assembled, options.modern === 'refuse' ? undefined : lane);
  let closing: Promise<void> | undefined;

  const { node, fetch, terminateSession, listSessions, revokeSessions, withLock, health } = handler;
  return {
    node,
    fetch,
    terminateSession,
    listSessions,
    revokeSessions,
    withLock,
    health,
    bus,
    notify: notifyBoth(handler.notify, bus),
    async close(closeOptions) {
      const { delayMs, drainMs } = closeTimes(closeOptions);
      closing ??= Promise.all([handler.close({ delayMs, drainMs }), lane.close(delayMs, drainMs)])
        .then(() => ownBus?.close())
        .then(releaseBus);
      await closing;
    },
    get ready() {
      return handler.ready;
    },
    get liveSessions() {
      return handler.liveSessions;
    }
  };
}

function check(factory: McpServerFactory, options: McpHandlerOptions): void {
  if (typeof factory !== 'function') {
    throw new InvalidOptionError('serverFactory', kindOf(factory), 'a function that returns a server');
  }
  checkOptionsObject('options', options);
  if (options.legacy !== undefined && options.legacy !== 'sessions') {
    throw new InvalidOptionError(
      'legacy',
      typeof options.legacy === 'string' ? `'${String(options.legacy)}'` : kindOf(options.legacy),
      "'sessions': without sessions for 2025 clients, use createMcpHandler of @modelcontextprotocol/server"
    );
  }
  checkOneOf('modern', options.modern, ['serve', 'refuse']);
  checkOneOf('responseMode', options.responseMode, ['auto', 'sse', 'json']);
  checkNumber('maxSubscriptions', options.maxSubscriptions, { min: 0, integer: true });
  if (options.bus !== undefined) checkMethods('bus', options.bus, ['publish', 'subscribe']);
  checkFunction('authorizeSubscription', options.authorizeSubscription);
}

/** Waits no longer than for any other call to the bus. The bus itself reports a failure. */
async function untilReady(bus: SharedServerEventBus, timeoutMs: number): Promise<void> {
  await withDeadline(() => bus.ready(), timeoutMs).catch(() => undefined);
}

/** The factory as the sessions call it. */
function sessionFactory(factory: McpServerFactory): ServerFactory {
  return ({ authInfo, requestInfo, recovering, sessionId }) =>
    factory({
      era: 'legacy',
      ...(authInfo && { authInfo }),
      requestInfo: requestInfo as unknown as Request,
      recovering,
      ...(sessionId !== undefined && { sessionId })
    });
}

/** Without `onerror`, the failure of the factory becomes a warning. The SDK reports it otherwise. */
function modernFactory(factory: McpServerFactory, onerror: McpHandlerOptions['onerror']): McpServerFactory {
  return async context => {
    try {
      return ownCopy(await factory(context));
    } catch (error) {
      if (!onerror) warnOfServer(error);
      throw error;
    }
  };
}

/**
 * The SDK's handler serves an `McpServer` of its own copy only. With another one it fails without a reason, and would not
 * find its scope challenges.
 */
function ownCopy(server: McpServer | Server): McpServer | Server {
  const isForeign = !(server instanceof McpServer) && (server as Partial<McpServer> | undefined)?.server !== undefined;
  if (!isForeign) return server;
  throw new UnsupportedRuntimeError(
    'The factory returned an McpServer of another copy or version of the SDK, which cannot serve 2026-07-28. Load ' +
      '@modelcontextprotocol/server and mcp-server-anypod both with import, or both with require'
  );
}
