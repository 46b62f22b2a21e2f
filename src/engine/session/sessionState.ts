import { pause } from '../../deadline.js';
import {
  InvalidOptionError,
  SessionNotFoundError,
  SessionRecordUnreadableError,
  SessionStateConflictError,
  SessionStateTooLargeError
} from '../../errors.js';
import { LazyRequestInfo, type StateAccess } from '../http/requestInfo.js';
import type { SessionContext } from '../context.js';
import type { SessionStateEntry, StateWrite } from '../../ports/sessionStore.js';
import { kindOf } from '../../validate.js';

/**
 * What an application keeps for a session: one JSON value, the same on every pod. It lives and dies with the session.
 * Every method throws `SessionNotFoundError` where the session has ended, and brings none back;
 * `SessionStoreUnavailableError` where the store cannot be asked; `SessionStoreUnsupportedError` where it keeps no state.
 */
export interface SessionState<T = unknown> {
  /** @returns undefined where nothing is kept */
  get(): Promise<T | undefined>;
  /**
   * Replaces the state, whatever others have written meanwhile.
   * @throws SessionStateTooLargeError over `maxStateBytes`
   * @throws InvalidOptionError where the value is none that JSON can hold
   */
  set(value: T): Promise<void>;
  /**
   * Replaces the state by what `fn` makes of it, atomically: where somebody else has written meanwhile, `fn` is called
   * again with what they wrote. So it should do nothing else. For work that must not be repeated there is `withLock`.
   * @returns what was written
   * @throws as `set` does, and SessionStateConflictError where others were quicker a hundred times
   */
  update(fn: (current: T | undefined) => T | Promise<T>): Promise<T>;
  /** Removes the state; nothing where none is kept. */
  delete(): Promise<void>;
}

/** What a request handler is given of the request: all that is needed of the SDK's `RequestHandlerExtra`. */
export interface RequestExtra {
  /** The request that brought the message, as the SDK passes it on. */
  readonly requestInfo?: object | undefined;
}

const MAX_ATTEMPTS = 100;
const MAX_BACKOFF_MS = 200;
const encoder = new TextEncoder();

/**
 * The state of the session that a request belongs to, on whichever pod it is served.
 * @param extra - what the SDK hands to every handler of a tool, resource, prompt or request, or a copy of it
 * @throws InvalidOptionError where the request came through no transport of this package
 */
export function sessionState<T = unknown>(extra: RequestExtra): SessionState<T> {
  const access = extra?.requestInfo && LazyRequestInfo.stateOf(extra.requestInfo);
  if (!access) {
    throw new InvalidOptionError(
      'extra',
      kindOf(extra),
      'what a request handler is given, of a request that came through a transport of this package'
    );
  }
  return new StoredState<T>(access);
}

class StoredState<T> implements SessionState<T> {
  readonly #access: StateAccess;

  constructor(access: StateAccess) {
    this.#access = access;
  }

  async get(): Promise<T | undefined> {
    return (await this.#read()).value;
  }

  async set(value: T): Promise<void> {
    await this.#write(this.#encode(value));
  }

  async delete(): Promise<void> {
    await this.#write(null);
  }

  async update(fn: (current: T | undefined) => T | Promise<T>): Promise<T> {
    if (typeof fn !== 'function') throw new InvalidOptionError('fn', kindOf(fn), 'a function');
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const { value, version } = await this.#read();
      const next = await fn(value);
      if (await this.#write(this.#encode(next), version)) return next;
      // At random, so that those who met do not meet again.
      const backoffMs = Math.random() * Math.min(2 ** attempt, MAX_BACKOFF_MS);
      await pause(backoffMs);
    }
    throw new SessionStateConflictError(`The state was changed by others during each of ${MAX_ATTEMPTS} updates`);
  }

  async #read(): Promise<{ value: T | undefined; version: number }> {
    const entry = await this.#access.getState();
    if (!entry) throw gone();
    if (entry.value === null) return { value: undefined, version: entry.version };
    try {
      return { value: JSON.parse(entry.value) as T, version: entry.version };
    } catch (error) {
      throw new SessionRecordUnreadableError("The session's state is no JSON", { cause: error });
    }
  }

  /** @returns false where the state has another version */
  async #write(text: string | null, ifVersion?: number): Promise<boolean> {
    const written = await this.#access.putState(text, ifVersion);
    if (written === 'missing') throw gone();
    return written === 'written';
  }

  #encode(value: unknown): string {
    let text: string | undefined;
    try {
      text = JSON.stringify(value);
    } catch {
      // As for what JSON leaves out: the value is not to be shown.
    }
    if (text === undefined) throw new InvalidOptionError('value', kindOf(value), 'a value that JSON can hold');
    const { maxStateBytes } = this.#access;
    // A UTF-16 unit takes one to three bytes, so most texts need not be measured.
    if (text.length * 3 > maxStateBytes) {
      const bytes = text.length > maxStateBytes ? text.length : encoder.encode(text).length;
      if (bytes > maxStateBytes) {
        throw new SessionStateTooLargeError(
          `The state is over ${maxStateBytes} bytes of JSON (maxStateBytes): ${bytes} or more`
        );
      }
    }
    return text;
  }
}

function gone(): SessionNotFoundError {
  return new SessionNotFoundError(
    'There is no such session: it has ended, and its state with it, or the transport has none'
  );
}

const NOTHING: SessionStateEntry = { value: null, version: 0 };

/** The state of one session: in the store, or in memory mode with the transport, and gone with it. */
export class EngineState implements StateAccess {
  readonly #context: SessionContext;
  #local = NOTHING;

  constructor(context: SessionContext) {
    this.#context = context;
  }

  get maxStateBytes(): number {
    return this.#context.options.maxStateBytes;
  }

  async getState(): Promise<SessionStateEntry | null> {
    const { options, sessionId } = this.#context;
    if (sessionId === undefined) return null;
    if (options.storeAccess) return options.storeAccess.getState(sessionId);
    return this.#context.closed ? null : this.#local;
  }

  async putState(value: string | null, ifVersion?: number): Promise<StateWrite> {
    const { options, sessionId } = this.#context;
    if (sessionId === undefined) return 'missing';
    if (options.storeAccess) return options.storeAccess.putState(sessionId, value, ifVersion);
    if (this.#context.closed) return 'missing';
    if (ifVersion !== undefined && ifVersion !== this.#local.version) return 'conflict';
    this.#local = { value, version: this.#local.version + 1 };
    return 'written';
  }
}
