import { AnypodError } from '../errors.js';
import { messageOf } from '../log.js';
import { fingerprint } from '../ports/sessionId.js';
import type { SessionData } from '../ports/sessionStore.js';
import { Date, performance } from '../timers.js';
import { busCalls, logCalls, sessions, storeCalls, streams } from './channels.js';
import type { CallEvent, EndedBy, RecoveryCause, RefusalReason, SessionEvent, StreamEvent } from './payloads.js';
import { PortCalls } from './portCalls.js';

/** The level of a line in a log, as most loggers name it. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * Receives what happens on a pod, for a logger. Errors that it throws are dropped.
 * @param event - a name in kebab case, for example `session-recovered`. It is stable across releases
 * @param fields - durations in milliseconds, and other values. A session is named by its fingerprint
 */
export type OnLogEvent = (level: LogLevel, event: string, fields: Readonly<Record<string, unknown>>) => void;

/** Why a session is not live here any more. `missing`: the store does not have it. */
export type EndCause = EndedBy | 'missing';

/** An event that does not name its session yet. */
type Unnamed<E> = E extends unknown ? Omit<E, 'session'> : never;

/** How many forgotten sessions a pod remembers, to say why it recovers a session. */
const MAX_FORGOTTEN = 1000;

const SESSION_LEVELS: Record<SessionEvent['type'], LogLevel> = {
  created: 'info',
  recovered: 'info',
  forgotten: 'debug',
  ended: 'info',
  expired: 'info',
  refused: 'debug',
  drained: 'info'
};

const STREAM_LEVELS: Record<StreamEvent['type'], LogLevel> = {
  opened: 'debug',
  closed: 'debug',
  'taken-over': 'info',
  resumed: 'info',
  'owner-gone': 'warn'
};

/** When this process made its first handler or transport, in epoch milliseconds. Workers have no clock at import. */
let startedAt: number | undefined;

/** Announces what happens to the sessions and streams of one handler. Nothing is built if nobody listens. */
export class PodEvents {
  readonly store: PortCalls;
  readonly bus: PortCalls;
  readonly log: PortCalls;
  readonly #onLog: OnLogEvent | undefined;
  #forgotten: Set<string> | undefined;

  constructor(onLog?: OnLogEvent) {
    this.#onLog = onLog;
    const failure = (port: string) => (onLog ? (event: CallEvent) => this.#logFailure(port, event) : undefined);
    this.store = new PortCalls(storeCalls, failure('store'));
    this.bus = new PortCalls(busCalls, failure('bus'));
    this.log = new PortCalls(logCalls, failure('log'));
    startedAt ??= Date.now();
  }

  get #hasSessionListeners(): boolean {
    return sessions.hasSubscribers || this.#onLog !== undefined;
  }

  get hasStreamListeners(): boolean {
    return streams.hasSubscribers || this.#onLog !== undefined;
  }

  /** @param since - by `performance.now()`, as below */
  created(sessionId: string, since: number): void {
    if (!this.#hasSessionListeners) return;
    this.#session({ type: 'created', session: fingerprint(sessionId), durationMs: performance.now() - since });
  }

  recovered({ sessionId, createdAt }: SessionData, since: number): void {
    if (!this.#hasSessionListeners) return;
    const session = fingerprint(sessionId);
    const cause = this.#causeOf(session, createdAt);
    this.#session({ type: 'recovered', session, cause, durationMs: performance.now() - since });
  }

  forgotten(sessionId: string, cause: 'idle' | 'capacity' | 'closed'): void {
    if (!this.#hasSessionListeners) return;
    const session = fingerprint(sessionId);
    const forgotten = (this.#forgotten ??= new Set());
    forgotten.add(session);
    if (forgotten.size > MAX_FORGOTTEN) forgotten.delete(forgotten.values().next().value as string);
    this.#session({ type: 'forgotten', session, cause });
  }

  /** @param createdAt - in epoch milliseconds */
  ended(sessionId: string, cause: EndCause, createdAt: number | undefined): void {
    if (!this.#hasSessionListeners) return;
    const session = fingerprint(sessionId);
    const ageMs = createdAt === undefined ? undefined : Math.max(0, Date.now() - createdAt);
    this.#session(
      cause === 'missing' ? { type: 'expired', session, ageMs } : { type: 'ended', session, by: cause, ageMs }
    );
  }

  refused(sessionId: string | null, reason: RefusalReason, status: number): void {
    if (!this.#hasSessionListeners) return;
    const session = sessionId ? fingerprint(sessionId) : undefined;
    this.#session({ type: 'refused', session, reason, status });
  }

  drained(sessions: number, unfinished: number, since: number): void {
    if (!this.#hasSessionListeners) return;
    this.#session({ type: 'drained', sessions, unfinished, durationMs: performance.now() - since });
  }

  /** Call it only if {@link hasStreamListeners}. */
  stream(sessionId: string | undefined, event: Unnamed<StreamEvent>): void {
    const session = sessionId === undefined ? undefined : fingerprint(sessionId);
    const named = { ...event, session } as StreamEvent;
    if (streams.hasSubscribers) streams.publish(named);
    if (this.#onLog) this.#log(STREAM_LEVELS[named.type], `stream-${named.type}`, named);
  }

  /** An error that is reported to `onerror`. Mistakes of clients are not errors of this package. */
  error(error: Error, level: LogLevel = error instanceof AnypodError ? 'warn' : 'info'): void {
    if (!this.#onLog) return;
    const code = error instanceof AnypodError ? error.code : undefined;
    this.#write(level, 'error', { code, message: messageOf(error) });
  }

  /** @returns false if there is no `onLog` */
  warning(code: string, message: string): boolean {
    if (!this.#onLog) return false;
    this.#write('warn', 'warning', { code, message });
    return true;
  }

  #causeOf(session: string, createdAt: number): RecoveryCause {
    if (this.#forgotten?.delete(session)) return 'forgotten';
    return createdAt < (startedAt as number) ? 'before-start' : 'other-pod';
  }

  #session(event: SessionEvent): void {
    if (sessions.hasSubscribers) sessions.publish(event);
    if (!this.#onLog) return;
    const isDrain = event.type === 'drained';
    this.#log(SESSION_LEVELS[event.type], isDrain ? 'drained' : `session-${event.type}`, event);
  }

  #logFailure(port: string, { call, outcome, durationMs, session, error }: CallEvent): void {
    this.#write('warn', `${port}-failed`, { call, outcome, durationMs, session, ...error });
  }

  #log(level: LogLevel, name: string, event: object): void {
    const fields: Record<string, unknown> = { ...event };
    delete fields.type;
    this.#write(level, name, fields);
  }

  #write(level: LogLevel, event: string, fields: Record<string, unknown>): void {
    try {
      this.#onLog?.(level, event, fields);
    } catch {
      // Dropped: a logger that fails must not fail a request.
    }
  }
}
