import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import type { HandleRequestOptions } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';
import { ResolvedOptions } from '../engine/options.js';
import { TRANSPORT_OPTION_NAMES, type TransportOptions } from '../engine/transportOptions.js';
import { emitErrorWarning, reportTo, warnOf } from '../report.js';
import { endOfTurn } from '../adapters/nodeEventSink.js';
import { answerExchange, NodeExchange } from '../adapters/nodeExchange.js';
import { respond, WebExchange } from '../adapters/webExchange.js';
import { checkFunction, checkNumber, checkOptionNames, checkOptionsObject, kindOf } from '../validate.js';
import { InvalidOptionError } from '../errors.js';
import { type LockOptions, withLock } from '../locks/withLock.js';
import { InMemoryLocks } from '../backends/memory/locks.js';
import { checkInstallation } from '../installation.js';
import { Notifier, type Notify } from './notifier.js';
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
   * @default `process.emitWarning`, at most once a minute for each kind, for errors of this package and of the server
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
   * @param options - `parsedBody`: the body, if a framework has parsed it; `authInfo`: the result of authentication
   * @returns the response. It does not wait for the end of a stream: the stream is the response's body
   * @throws Error if a callback of the application throws, for example `onsessioninitialized`
   */
  readonly fetch: (request: Request, options?: HandleRequestOptions) => Promise<Response>;
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
  /** False after `close` was called. For the readiness probe of a balancer. */
  readonly ready: boolean;
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

/**
 * Keeps one live server and transport per session on this pod. `initialize` opens a session; a session that began on
 * another pod is recovered from the store; an idle session is forgotten. Authenticate requests before they reach the
 * handler: a request that the framework has refused then costs no look-up and no recovery.
 * @throws InvalidOptionError
 * @throws UnsupportedRuntimeError on a Node that is too old
 */
export function createMcpHandler(serverFactory: ServerFactory, options: McpHandlerOptions = {}): McpHandler {
  checkInstallation();
  if (typeof serverFactory !== 'function') {
    throw new InvalidOptionError('serverFactory', kindOf(serverFactory), 'a function that returns a server');
  }
  checkOptionsObject('options', options);
  checkOptionNames(options, HANDLER_OPTION_NAMES);
  checkNumber('idleTimeoutMs', options.idleTimeoutMs, { min: 0 });
  checkNumber('maxLiveSessions', options.maxLiveSessions, { min: 1, integer: true });
  checkFunction('onerror', options.onerror);
  const sessionIdGenerator = options.sessionIdGenerator ?? (() => globalThis.crypto.randomUUID());
  const resolved = new ResolvedOptions({ ...options, sessionIdGenerator });
  const report = (error: Error): void => reportTo(options.onerror ?? warnOf, error);
  const sessions = new LiveSessions({
    idleTimeoutMs: options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS[resolved.mode],
    maxLiveSessions: options.maxLiveSessions ?? DEFAULT_MAX_LIVE_SESSIONS,
    report
  });
  const notifier = new Notifier(resolved, sessions, report);
  const openings = new OpeningLimits(options, resolved, report);
  let answersWritten = async (): Promise<void> => {};
  const host = new SessionHost(
    options.onerror ? serverFactory : warningFactory(serverFactory),
    resolved,
    sessions,
    notifier,
    openings,
    report,
    () => answersWritten()
  );
  const principals = new PrincipalSessions(resolved, sessionId => host.terminateSession(sessionId), report);
  const lockStore = resolved.store ?? new InMemoryLocks();

  return {
    node(req, res, parsedBody) {
      answersWritten = endOfTurn;
      const body = typeof parsedBody === 'function' ? req.body : parsedBody;
      const exchange = new NodeExchange(req, res, body, report);
      return answerExchange(exchange, () => host.handle(exchange));
    },
    fetch(request, requestOptions) {
      const exchange = new WebExchange(request, requestOptions);
      return respond(exchange, () => host.handle(exchange));
    },
    notify: notifier,
    async terminateSession(sessionId) {
      if (typeof sessionId !== 'string') throw new InvalidOptionError('sessionId', kindOf(sessionId), 'a string');
      await host.terminateSession(sessionId);
    },
    listSessions: principal => principals.list(principal),
    revokeSessions: principal => principals.revoke(principal),
    withLock: (sessionId, fn, lockOptions) => withLock(lockStore, sessionId, fn, lockOptions),
    async close(closeOptions = {}) {
      checkOptionsObject('options', closeOptions);
      const { delayMs = 0, drainMs = DEFAULT_DRAIN_MS } = closeOptions;
      checkNumber('delayMs', delayMs, { min: 0 });
      checkNumber('drainMs', drainMs, { min: 0 });
      await host.close(delayMs, drainMs);
    },
    get ready() {
      return host.ready;
    },
    get liveSessions() {
      return sessions.size;
    }
  };
}

/** Used without `onerror`: the failure of a factory becomes a warning. */
function warningFactory(factory: ServerFactory): ServerFactory {
  return async context => {
    try {
      return await factory(context);
    } catch (error) {
      emitErrorWarning(error as Error, 'serverFactory failed');
      throw error;
    }
  };
}
