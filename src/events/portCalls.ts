import {
  AnypodError,
  BusUnavailableError,
  EventStoreUnavailableError,
  SessionStoreUnavailableError
} from '../errors.js';
import { type WaitBudget, withDeadline } from '../deadline.js';
import { fingerprint } from '../ports/sessionId.js';
import { Date, performance } from '../timers.js';
import type { Channel } from './channels.js';
import type { CallEvent } from './payloads.js';

/** What a pod knows of its store, bus or event log from its last calls. */
export interface PortHealth {
  /** Whether the last call was answered. Undefined before the first call. */
  readonly reachable: boolean | undefined;
  /** When a call was answered last, in epoch milliseconds. */
  readonly lastAnswerAt: number | undefined;
  /** The last failure, even if later calls succeeded. */
  readonly lastError:
    | {
        /** The code of an error of this package, for example `ANYPOD_STORE_UNAVAILABLE`. */
        readonly code: string;
        /** Without secrets and session ids. */
        readonly message: string;
        /** In epoch milliseconds. */
        readonly at: number;
        /** How long ago, in milliseconds. */
        readonly ageMs: number;
      }
    | undefined;
}

/** One call to a port. */
export interface PortCall<T> {
  /** The method that is called. */
  readonly name: string;
  /** Makes the call. @param restart - restarts the time, after each progress; see {@link withDeadline} */
  readonly run: (restart: () => void) => Promise<T>;
  readonly timeoutMs: number;
  /** The time budget of the exchange that waits for the call, if there is one. */
  readonly waits?: WaitBudget | undefined;
  /** The session that the call is about. */
  readonly sessionId?: string | undefined;
  /** Called if the call does not settle in time. Its late result is dropped. */
  readonly onLate?: (() => void) | undefined;
  /** If it is set, the call does not throw: it returns the result of this function. */
  readonly onFailure?: ((failure: Error) => T) | undefined;
}

/** The errors that the callers of a port get. */
export interface PortErrors {
  /** The error for a call that did not settle in time. */
  late(name: string, timeoutMs: number): Error;
  /** The error for another failure. Also called with the errors of `late`. */
  failed(error: unknown, name: string, sessionId: string | undefined): Error;
}

/** Times the calls to one port, announces them, and remembers how the last ones ended. */
export class PortCalls {
  readonly #channel: Channel<CallEvent>;
  readonly #onfailure: ((event: CallEvent) => void) | undefined;
  /** By `performance.now()`, like the next one. */
  #answeredAt = -Infinity;
  #failedAt = -Infinity;
  #isFailing = false;
  #error: { code: string; message: string } | undefined;

  /** @param onfailure - called for each call that failed */
  constructor(channel: Channel<CallEvent>, onfailure?: (event: CallEvent) => void) {
    this.#channel = channel;
    this.#onfailure = onfailure;
  }

  /** Whether the last call was not answered. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** How long ago a call was answered or failed, in milliseconds. */
  get silentMs(): number {
    return performance.now() - Math.max(this.#answeredAt, this.#failedAt);
  }

  /**
   * Makes a call, in the time that is left for it.
   * @throws what `errors` returns
   */
  async call<T>(call: PortCall<T>, errors: PortErrors): Promise<T> {
    const { name, run, waits, sessionId, onLate } = call;
    const timeoutMs = waits ? waits.begin(call.timeoutMs) : call.timeoutMs;
    // The health of the port needs no duration.
    const startedAt = this.#channel.hasSubscribers || this.#onfailure ? performance.now() : undefined;
    try {
      const answer = await withDeadline(run, timeoutMs, () => {
        onLate?.();
        return errors.late(name, timeoutMs);
      });
      this.succeeded(name, startedAt, sessionId);
      return answer;
    } catch (error) {
      const failure = errors.failed(error, name, sessionId);
      this.failed(name, startedAt, failure, sessionId);
      if (call.onFailure) return call.onFailure(failure);
      throw failure;
    } finally {
      waits?.end();
    }
  }

  /** @param startedAt - by `performance.now()`. Undefined if nobody listened then: the call is not announced */
  succeeded(call: string, startedAt: number | undefined, sessionId?: string): void {
    const now = performance.now();
    this.#answeredAt = now;
    this.#isFailing = false;
    if (startedAt === undefined || !this.#channel.hasSubscribers) return;
    this.#channel.publish(callEvent(call, 'ok', now - startedAt, sessionId, undefined));
  }

  /** @param error - what the caller of the port gets */
  failed(call: string, startedAt: number | undefined, error: unknown, sessionId?: string): void {
    const now = performance.now();
    // The port has answered, with an error about this session or event.
    if (isAnswer(error)) {
      this.#answeredAt = now;
      this.#isFailing = false;
    } else {
      this.#failedAt = now;
      this.#isFailing = true;
      this.#error = described(error);
    }
    if (startedAt === undefined || (!this.#channel.hasSubscribers && !this.#onfailure)) return;
    const outcome = isLate(error) ? 'timeout' : 'error';
    const event = callEvent(call, outcome, now - startedAt, sessionId, described(error));
    if (this.#channel.hasSubscribers) this.#channel.publish(event);
    if (!isAnswer(error)) this.#onfailure?.(event);
  }

  health(): PortHealth {
    const [now, date] = [performance.now(), Date.now()];
    const ageMs = Math.round(now - this.#failedAt);
    const isUsed = this.#answeredAt > -Infinity || this.#failedAt > -Infinity;
    return {
      reachable: isUsed ? !this.#isFailing : undefined,
      lastAnswerAt: this.#answeredAt > -Infinity ? Math.round(date - (now - this.#answeredAt)) : undefined,
      lastError: this.#error && { ...this.#error, at: date - ageMs, ageMs }
    };
  }
}

function callEvent(
  call: string,
  outcome: CallEvent['outcome'],
  durationMs: number,
  sessionId: string | undefined,
  error: CallEvent['error']
): CallEvent {
  const session = sessionId === undefined ? undefined : fingerprint(sessionId);
  return { type: 'call', call, outcome, durationMs, session, error };
}

/** Errors of this package contain no secrets. The text of another one may. */
function described(error: unknown): { code: string; message: string } {
  if (error instanceof AnypodError) return { code: error.code, message: error.message };
  return { code: 'ERROR', message: error instanceof Error ? error.name : 'a thrown value' };
}

/** Whether an error says that the port answered: about a record, a session or an event. */
function isAnswer(error: unknown): boolean {
  if (isUnavailable(error)) return error.cause !== undefined && isAnswer(error.cause);
  return error instanceof AnypodError && !/UNAVAILABLE$/.test(error.code);
}

function isUnavailable(error: unknown): error is AnypodError {
  return (
    error instanceof SessionStoreUnavailableError ||
    error instanceof EventStoreUnavailableError ||
    error instanceof BusUnavailableError
  );
}

function isLate(error: unknown): boolean {
  return isUnavailable(error) && /(did not answer|no answer) within/.test(error.message);
}
