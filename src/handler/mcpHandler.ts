import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthInfo } from '../sdkTypes.js';
import { ResolvedOptions } from '../engine/options.js';
import { TRANSPORT_OPTION_NAMES, type TransportOptions } from '../engine/transportOptions.js';
import type { Exchange, Reply } from '../engine/http/exchange.js';
import type { Dialect } from '../engine/dialect.js';
import { type ReportError, reportTo, warnOf, warnOfServer } from '../report.js';
import { endOfTurn } from '../adapters/firstWrite.js';
import { answerExchange, NodeExchange } from '../adapters/nodeExchange.js';
import { type FetchOptions, respond, WebExchange } from '../adapters/webExchange.js';
import { checkFunction, checkNumber, checkOptionNames, checkOptionsObject, kindOf } from '../validate.js';
import { InvalidOptionError } from '../errors.js';
import { type LockOptions, withLock } from '../locks/withLock.js';
import { InMemoryLocks } from '../backends/memory/locks.js';
import type { NewTransport } from './buildServer.js';
import { Notifier, type Notify } from './notifier.js';
import { type HandlerHealth, portsHealth } from './health.js';
import { LiveSessions } from './liveSessions.js';
import { OpeningLimits, type OpeningLimitOptions } from './openingLimits.js';
import type { ServerFactory } from './serverFactory.js';
import { SessionHost } from './sessionHost.js';
import { PrincipalSessions } from './principalSessions.js';

/** The options of `createMcpHandler`: the options of a transport, and options for many sessions on one pod. */
export interface McpHandlerOptions extends TransportOptions, OpeningLimitOptions {
  /**
   * Milliseconds after which this pod forgets a session without an attached stream or an open request. In external mode
   * its next request recovers it; in memory mode it ends. 0 means never.
   * @default 300000 (5 minutes) in external mode, 3600000 (1 hour) in memory mode
   */
  idleTimeoutMs?: number;
  /**
   * Maximum number of live sessions on this pod. If one more is needed, the least recently used idle session is
   * forgotten. If no session is idle, the request is answered 503.
   * @default 10000
   */
  maxLiveSessions?: number;
  /**
   * Called with every error that is not thrown to a caller. Errors that the callback throws are dropped.
   * @default `process.emitWarning`, at most once a minute for each code, for errors of this package and of the server
   * factory; a client's mistakes are not reported
   */
  onerror?: (error: Error) => void;
}

/** How `handler.close` shuts a pod down. */
export interface CloseOptions {
  /**
   * How long the pod continues to serve new requests, in milliseconds. Use more time than the balancer needs to detect
   * that `ready` is false.
   * @default 0: new requests are answered 503 at once
   */
  delayMs?: number;
  /** How long requests in flight may take to finish after that, in milliseconds. @default 10000 */
  drainMs?: number;
}

/** The names of all options; the type keeps the list complete. */
const CLOSE_OPTION_NAMES: Readonly<Record<keyof CloseOptions, true>> = {
  delayMs: true,
  drainMs: true
};

/** Serves MCP sessions on this pod. Its methods do not need `this`. */
export interface McpHandler {
  /**
   * For Node: `http.createServer(handler.node)`, `app.all('/mcp', (req, res) => handler.node(req, res, req.body))`.
   * @param parsedBody - the body, if a middleware has parsed it. If it is a function (Express's `next`), `req.body` is
   *   used
   * @returns when the response is complete
   */
  readonly node: (
    req: IncomingMessage & { auth?: AuthInfo; body?: unknown },
    res: ServerResponse,
    parsedBody?: unknown
  ) => Promise<void>;
  /**
   * Answers one request, for web-standard frameworks and runtimes.
   * @param request - its body must not have been read, unless `options.parsedBody` is given
   * @param options - `parsedBody`: the body, if a framework has parsed it; `authInfo`: the result of authentication;
   *   `waitUntil`: keeps a Worker running for what the request has started
   * @returns the response. It does not wait for the end of a stream: the stream is the response's body
   * @throws Error if a callback of the application throws, for example `onsessioninitialized`
   */
  readonly fetch: (request: Request, options?: FetchOptions) => Promise<Response>;
  /** Ends a session for every pod. @throws SessionStoreUnavailableError if the store did not confirm */
  readonly terminateSession: (sessionId: string) => Promise<void>;
  /**
   * The ids of a principal's sessions, one after the other. Treat each id as a secret.
   * @param principal - a result of `principalOf` (by default `JSON.stringify([issuer, subject])`), or the auth info for
   *   it
   * @throws SessionStoreUnsupportedError in memory mode, and if the store does not have `listSessionIds`
   * @throws SessionStoreUnavailableError
   */
  readonly listSessions: (principal: string | AuthInfo) => AsyncIterable<string>;
  /**
   * Ends every session of a principal for every pod, as `terminateSession` does. A session that is opened meanwhile may
   * stay: revoke the principal's credentials first.
   * @returns how many sessions were ended
   * @throws the errors of `listSessions`. If some sessions could not be ended, it throws after all others were ended
   */
  readonly revokeSessions: (principal: string | AuthInfo) => Promise<number>;
  /**
   * Runs `fn` while no other caller runs one for the same session on any pod: see `withLock`. In memory mode, on this
   * handler.
   */
  readonly withLock: <T>(
    sessionId: string,
    fn: (signal: AbortSignal) => T | Promise<T>,
    options?: LockOptions
  ) => Promise<T>;
  /**
   * Shuts this pod down without a failed request. In external mode other pods take over its sessions. In this order:
   *
   * 1. For `delayMs` it still serves all requests. `ready` is false, and every reply has `Connection: close`.
   * 2. It answers new requests with 503, closes the streams that clients can resume on another pod, and lets requests
   *    in flight finish for at most `drainMs`.
   * 3. It forgets all sessions of this pod.
   *
   * A second call waits for the first; its options have no effect.
   * @throws InvalidOptionError
   */
  readonly close: (options?: CloseOptions) => Promise<void>;
  /**
   * For the readiness probe of a balancer. False after `close` was called, and while the session store does not answer.
   * If the store was silent for a while, reading this asks the store in the background.
   */
  readonly ready: boolean;
  /** How this pod is: sessions, requests in flight, and the last answer and error of store, bus and event log. */
  readonly health: () => HandlerHealth;
  /** Sends notifications to many sessions, from any pod. */
  readonly notify: Notify;
  /** How many sessions are live on this pod. */
  readonly liveSessions: number;
}

/** The names of all options; the type keeps the list complete. */
const HANDLER_OPTION_NAMES: Readonly<Record<keyof McpHandlerOptions, true>> = {
  ...TRANSPORT_OPTION_NAMES,
  idleTimeoutMs: true,
  maxLiveSessions: true,
  onerror: true,
  maxSessionsPerPrincipal: true,
  openRateLimit: true
};

const DEFAULT_MAX_LIVE_SESSIONS = 10_000;
const DEFAULT_IDLE_TIMEOUT_MS = { external: 300_000, memory: 3_600_000 };
const DEFAULT_DRAIN_MS = 10_000;

/** In what the packages for the two versions of the SDK differ. */
export interface HandlerSdk {
  readonly dialect: Dialect;
  readonly newTransport: NewTransport;
  /** Answers an exchange. @default the host does */
  readonly route?: (exchange: Exchange) => Promise<Reply>;
}

/** A handler, and the parts of it that another handler can use. */
export interface AssembledHandler {
  readonly handler: McpHandler;
  /** Answers the exchanges. */
  readonly host: SessionHost;
  readonly report: ReportError;
}

/**
 * Makes the handler that `createMcpHandler` returns. Every part of it is made here and gets the others that it needs, so
 * the function is long.
 * @throws InvalidOptionError, UnsupportedRuntimeError
 */
export function assembleHandler(
  serverFactory: ServerFactory,
  options: McpHandlerOptions,
  { dialect, newTransport, route }: HandlerSdk
): AssembledHandler {
  checkHandlerOptions(serverFactory, options, dialect);
  const sessionIdGenerator = options.sessionIdGenerator ?? (() => globalThis.crypto.randomUUID());
  const resolved = new ResolvedOptions({ ...options, sessionIdGenerator }, dialect);
  const { events } = resolved;
  dialect.checkInstallation(options.onLog && ((code, message) => void events.warning(code, message)));
  const report = (error: Error): void => {
    events.error(error);
    reportTo(options.onerror ?? (options.onLog ? undefined : warnOf), error);
  };
  const reportServer = (error: Error): void => {
    events.error(error, 'error');
    reportTo(options.onerror ?? (options.onLog ? undefined : warnOfServer), error);
  };
  const sessions = new LiveSessions({
    idleTimeoutMs: options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS[resolved.mode],
    maxLiveSessions: options.maxLiveSessions ?? DEFAULT_MAX_LIVE_SESSIONS,
    report,
    events
  });
  const notifier = new Notifier(resolved, sessions, report);
  const openings = new OpeningLimits(options, resolved, report);
  let answersWritten = async (): Promise<void> => {};
  const host = new SessionHost(
    serverFactory,
    newTransport,
    resolved,
    sessions,
    notifier,
    openings,
    report,
    reportServer,
    () => answersWritten()
  );
  const handle = route ?? ((exchange: Exchange) => host.handle(exchange));
  const principals = new PrincipalSessions(resolved, sessionId => host.terminateSession(sessionId), report);
  const lockStore = resolved.store ?? new InMemoryLocks();

  const handler: McpHandler = {
    node(req, res, parsedBody) {
      answersWritten = endOfTurn;
      const body = typeof parsedBody === 'function' ? req.body : parsedBody;
      const exchange = new NodeExchange(req, res, body, report);
      return answerExchange(exchange, () => handle(exchange));
    },
    async fetch(request, requestOptions) {
      const exchange = new WebExchange(request, requestOptions);
      return respond(exchange, () => handle(exchange));
    },
    notify: notifier,
    async terminateSession(sessionId) {
      if (typeof sessionId !== 'string') throw new InvalidOptionError('sessionId', kindOf(sessionId), 'a string');
      await host.terminateSession(sessionId);
    },
    listSessions: principal => principals.list(principal),
    revokeSessions: principal => principals.revoke(principal),
    withLock: (sessionId, fn, lockOptions) => withLock(lockStore, sessionId, fn, lockOptions),
    async close(closeOptions) {
      const { delayMs, drainMs } = closeTimes(closeOptions);
      await host.close(delayMs, drainMs);
    },
    get ready() {
      return host.ready;
    },
    health: () => ({ ready: host.ready, ...host.counts(), ...portsHealth(host.options) }),
    get liveSessions() {
      return sessions.size;
    }
  };
  return { handler, host, report };
}

/** @throws InvalidOptionError */
function checkHandlerOptions(serverFactory: ServerFactory, options: McpHandlerOptions, dialect: Dialect): void {
  if (typeof serverFactory !== 'function') {
    throw new InvalidOptionError('serverFactory', kindOf(serverFactory), 'a function that returns a server');
  }
  checkOptionsObject('options', options);
  checkOptionNames(options, { ...HANDLER_OPTION_NAMES, ...dialect.optionNames });
  checkNumber('idleTimeoutMs', options.idleTimeoutMs, { min: 0 });
  checkNumber('maxLiveSessions', options.maxLiveSessions, { min: 1, integer: true });
  checkFunction('onerror', options.onerror);
  // For a transport of the SDK it means: without sessions.
  if (Object.hasOwn(options, 'sessionIdGenerator') && options.sessionIdGenerator === undefined) {
    throw new InvalidOptionError(
      'sessionIdGenerator',
      'undefined',
      'a function, or no such option: createMcpHandler always has sessions. Without sessions, use a new transport for ' +
        'each request'
    );
  }
}

/** @throws InvalidOptionError */
export function closeTimes(options: CloseOptions = {}): Required<CloseOptions> {
  checkOptionsObject('options', options, CLOSE_OPTION_NAMES);
  const { delayMs = 0, drainMs = DEFAULT_DRAIN_MS } = options;
  checkNumber('delayMs', delayMs, { min: 0 });
  checkNumber('drainMs', drainMs, { min: 0 });
  return { delayMs, drainMs };
}
