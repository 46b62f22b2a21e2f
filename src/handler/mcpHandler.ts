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

/** The options of `createMcpHandler`: those of a transport, and those of a pod that holds many sessions. */
export interface McpHandlerOptions extends TransportOptions, OpeningLimitOptions {
  /**
   * Milliseconds after which a session without an attached stream, and with nothing in flight, is forgotten on this
   * pod. In external mode its next request recovers it; in memory mode it ends. 0 means never.
   * @default 300000 (5 minutes) in external mode, 3600000 (1 hour) in memory mode
   */
  idleTimeoutMs?: number;
  /**
   * Sessions live on this pod at most. Over it the least recently used idle one is forgotten; where none is idle,
   * what needs another is answered 503.
   * @default 10000
   */
  maxLiveSessions?: number;
  /**
   * Called with every error that is not thrown to a caller. An error that it throws itself is dropped.
   * @default `process.emitWarning`, at most once a minute for each kind, for errors of this package and of the server
   * factory; a client's mistakes are not reported
   */
  onerror?: (error: Error) => void;
}

/** How `handler.close` shuts a pod down. */
export interface CloseOptions {
  /**
   * How long the pod goes on serving new requests, in milliseconds: longer than the balancer takes to see that `ready`
   * is false.
   * @default 0: new requests are turned away at once
   */
  delayMs?: number;
  /** How long requests in flight may take to finish after that, in milliseconds. @default 10000 */
  drainMs?: number;
}

/** Serves MCP sessions on this pod. Its methods may be passed around unbound. */
export interface McpHandler {
  /**
   * For Node: `http.createServer(handler.node)`, `app.all('/mcp', (req, res) => handler.node(req, res, req.body))`.
   * @param parsedBody - the body where a middleware has parsed it; a function (Express's `next`) stands for `req.body`
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
   * @returns the response. It does not wait for the end of a stream, which is the response's body
   * @throws Error what a callback of the application throws, `onsessioninitialized` for example
   */
  readonly fetch: (request: Request, options?: HandleRequestOptions) => Promise<Response>;
  /** Ends a session for every pod. @throws SessionStoreUnavailableError when the store did not confirm */
  readonly terminateSession: (sessionId: string) => Promise<void>;
  /**
   * The ids of a principal's sessions, one after the other: what the client of a session knows as a secret.
   * @param principal - as `principalOf` names it (by default `JSON.stringify([issuer, subject])`), or auth info to name
   * @throws SessionStoreUnsupportedError in memory mode, and where the store has no `listSessionIds`
   * @throws SessionStoreUnavailableError
   */
  readonly listSessions: (principal: string | AuthInfo) => AsyncIterable<string>;
  /**
   * Ends every session of a principal for every pod, as `terminateSession` does. One that is opened meanwhile may stay:
   * withdraw the principal's credentials first.
   * @returns how many have been ended
   * @throws as `listSessions` does; where some could not be ended, when all others have been
   */
  readonly revokeSessions: (principal: string | AuthInfo) => Promise<number>;
  /**
   * Runs `fn` while nobody else does so for the same session, on any pod: see `withLock`. In memory mode, on this handler.
   */
  readonly withLock: <T>(
    sessionId: string,
    fn: (signal: AbortSignal) => T | Promise<T>,
    options?: LockOptions
  ) => Promise<T>;
  /**
   * Shuts this pod down without a failed request. In external mode other pods go on with its sessions. In this order:
   *
   * 1. For `delayMs` it serves everything as before, while `ready` is false and every reply has `Connection: close`.
   * 2. It answers new requests with 503, closes the streams that clients can resume on another pod, and lets requests
   *    in flight finish for at most `drainMs`.
   * 3. It forgets every session here.
   *
   * A second call waits for the first; its options have no effect.
   * @throws InvalidOptionError
   */
  readonly close: (options?: CloseOptions) => Promise<void>;
  /** False from the moment when `close` is called: for the readiness probe of a balancer. */
  readonly ready: boolean;
  /** Tells many sessions, from any one pod. */
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
 * One live server and transport per session on this pod: opened by `initialize`, recovered from the store when the
 * session began elsewhere, forgotten when idle. Authentication belongs in front of it: nothing is looked up or
 * recovered for a request that the framework has turned away.
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

/** Without `onerror`: a factory that fails must not do so silently. */
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
