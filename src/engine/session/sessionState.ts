import { pause } from '../../deadline.js';
import {
  InvalidOptionError,
  SessionNotFoundError,
  SessionRecordUnreadableError,
  SessionStateConflictError,
  SessionStateTooLargeError
} from '../../errors.js';
import type { StateAccess } from '../http/requestSource.js';
import type { SessionContext } from '../context.js';
import type { SessionStateEntry, StateWrite } from '../../ports/sessionStore.js';
import { kindOf } from '../../validate.js';

/**
 * What an application keeps for a session: one JSON value, the same on every pod. It ends with the session. Every
 * method throws `SessionNotFoundError` if the session has ended, and never creates a session;
 * `SessionStoreUnavailableError` if the store fails; `SessionStoreUnsupportedError` if the store does not keep state.
 */
export interface SessionState<T = unknown> {
  /** @returns undefined if there is no state */
  get(): Promise<T | undefined>;
  /**
   * Replaces the state, including changes that other callers made meanwhile.
   * @throws SessionStateTooLargeError over `maxStateBytes`
   * @throws InvalidOptionError if JSON cannot represent the value
   */
  set(value: T): Promise<void>;
  /**
   * Replaces the state by the result of `fn`, atomically. If another caller has written meanwhile, `fn` is called again
   * with the new state, so it should have no side effects. For work that must not be repeated, use `withLock`.
   * @returns the written state
   * @throws the errors of `set`, and SessionStateConflictError if other callers wrote first a hundred times
   */
  update(fn: (current: T | undefined) => T | Promise<T>): Promise<T>;
  /** Removes the state, if there is one. */
  delete(): Promise<void>;
}

const MAX_ATTEMPTS = 100;
const MAX_BACKOFF_MS = 200;
const encoder = new TextEncoder();

/** Reads and writes the state as JSON. */
export class StoredState<T> implements SessionState<T> {
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
      // Random, so that callers that conflicted do not conflict again.
      const backoffMs = Math.random() * Math.min(2 ** attempt, MAX_BACKOFF_MS);
      await pause(backoffMs);
    }
    throw new SessionStateConflictError(`Other callers changed the state in each of ${MAX_ATTEMPTS} attempts`);
  }

  async #read(): Promise<{ value: T | undefined; version: number }> {
    const entry = await this.#access.getState();
    if (!entry) throw gone();
    if (entry.value === null) return { value: undefined, version: entry.version };
    try {
      return { value: JSON.parse(entry.value) as T, version: entry.version };
    } catch (error) {
      throw new SessionRecordUnreadableError("The session's state is not JSON", { cause: error });
    }
  }

  /** @returns false if the state has another version */
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
      // Handled below like a value that JSON leaves out. The error must not show the value.
    }
    if (text === undefined) throw new InvalidOptionError('value', kindOf(value), 'a value that JSON can hold');
    const { maxStateBytes } = this.#access;
    // A UTF-16 unit takes one to three bytes, so most texts need not be measured.
    if (text.length * 3 > maxStateBytes) {
      const bytes = text.length > maxStateBytes ? text.length : encoder.encode(text).length;
      if (bytes > maxStateBytes) {
        throw new SessionStateTooLargeError(
          `The state exceeds ${maxStateBytes} bytes of JSON (maxStateBytes): ${bytes} or more`
        );
      }
    }
    return text;
  }
}

function gone(): SessionNotFoundError {
  return new SessionNotFoundError(
    'The session does not exist: it has ended, and its state was removed, or the transport has no session'
  );
}

const NOTHING: SessionStateEntry = { value: null, version: 0 };

/** The state of one session: in the store, or in memory mode in the transport, where it ends with the transport. */
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
