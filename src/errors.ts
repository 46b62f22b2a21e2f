/** Every error this package throws or reports. `code` is stable across releases, `message` is not. */
export abstract class AnypodError extends Error {
  /** Names the kind of error, for programs: it is stable across releases. */
  abstract readonly code: string;

  // Not `ErrorOptions`: a library of types before ES2022 has no such name.
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** An error of a backend. Its message names the reason as the `cause` has it, because logs often show messages alone. */
abstract class BackendFailure extends AnypodError {
  constructor(message: string, options?: { cause?: unknown }) {
    const reason = reasonOf(options?.cause);
    super(reason === undefined || message.includes(reason) ? message : `${message} (${reason})`, options);
  }
}

/** Names that say nothing. */
const GENERAL = new Set(['Error', 'TypeError', 'RangeError', 'SyntaxError', 'AggregateError']);

/** The code, or the name, of an error. Never its text: that may quote a command, an address or a session id. */
function reasonOf(cause: unknown): string | undefined {
  // Not `instanceof Error`: it may be one of another realm.
  if (typeof cause !== 'object' || cause === null) return undefined;
  const { code, message, name, errors } = cause as Partial<AggregateError> & { code?: unknown };
  if (errors?.[0]) return reasonOf(errors[0]);
  if (typeof code === 'string' && /^[A-Z0-9_]{3,40}$/.test(code)) return code;
  // As in `WRONGPASS invalid username-password pair`; the second is ours.
  const stated = /^(?:[A-Z]{4,20}(?= )|no answer within \d+ ms$)/.exec(message ?? '');
  return stated?.[0] ?? (name === undefined || GENERAL.has(name) ? undefined : name);
}

/** An option has an invalid value, or a name that is almost the name of another one. Thrown where the option is given. */
export class InvalidOptionError extends AnypodError {
  readonly code = 'ANYPOD_INVALID_OPTION';

  /** The name of the option. */
  readonly option: string;

  /** @param kind - what was given, in words; never a text itself, which may be a secret */
  constructor(option: string, kind: string, allowed: string) {
    super(`Invalid option ${option}: got ${kind}, expected ${allowed}`);
    this.option = option;
  }
}

/** The session store failed, refused a write, or did not answer within `storeTimeoutMs`. */
export class SessionStoreUnavailableError extends BackendFailure {
  readonly code = 'ANYPOD_STORE_UNAVAILABLE';
}

/** The session's record is there and cannot be understood. It stays in the store for inspection. */
export class SessionRecordUnreadableError extends AnypodError {
  readonly code = 'ANYPOD_RECORD_UNREADABLE';
}

/** `storeSession` was asked to create a session that is there already, or was deleted a moment ago. */
export class SessionExistsError extends AnypodError {
  readonly code = 'ANYPOD_SESSION_EXISTS';
}

/** The event store failed or did not answer in time; the event went out without an id. */
export class EventStoreUnavailableError extends BackendFailure {
  readonly code = 'ANYPOD_EVENT_STORE_UNAVAILABLE';
}

/** A cursor (`Last-Event-ID`) names an event that the log does not have: never written, or trimmed, or expired. */
export class EventCursorError extends AnypodError {
  readonly code = 'ANYPOD_EVENT_CURSOR_UNKNOWN';
}

/** The bus between pods failed or did not answer in time, or carried something that this pod does not understand. */
export class BusUnavailableError extends BackendFailure {
  readonly code = 'ANYPOD_BUS_UNAVAILABLE';
}

/** A message is over `maxBusMessageBytes` and was not sent to other pods. */
export class BusMessageTooLargeError extends AnypodError {
  readonly code = 'ANYPOD_BUS_MESSAGE_TOO_LARGE';
}

/** A client does not read its stream or answer: it was disconnected, so that not everything is held for it. */
export class SlowClientError extends AnypodError {
  readonly code = 'ANYPOD_SLOW_CLIENT';
}

/** A session was found and its server could not be brought to where the client left it, or has another name than the one that opened it. */
export class SessionRecoveryError extends AnypodError {
  readonly code = 'ANYPOD_RECOVERY_FAILED';
}

/** The pod is full (`maxLiveSessions`, none idle) or on its way out, or the session's transport has closed on it. */
export class PodUnavailableError extends AnypodError {
  readonly code = 'ANYPOD_POD_UNAVAILABLE';
}

/** A lock was not free within `timeoutMs`. What the store said last, if it failed meanwhile, is the `cause`. */
export class LockTimeoutError extends AnypodError {
  readonly code = 'ANYPOD_LOCK_TIMEOUT';
}

/** The lease of a lock ended while its holder was still at work: somebody else may hold the lock now. */
export class LockLostError extends AnypodError {
  readonly code = 'ANYPOD_LOCK_LOST';
}

/** The session is not there: deleted or expired meanwhile, or the transport has none. Nothing was written. */
export class SessionNotFoundError extends AnypodError {
  readonly code = 'ANYPOD_SESSION_NOT_FOUND';
}

/** A session's state is larger than `maxStateBytes`. Nothing was written. */
export class SessionStateTooLargeError extends AnypodError {
  readonly code = 'ANYPOD_STATE_TOO_LARGE';
}

/** A session's state changed again and again between `update` reading it and writing it. Nothing was written. */
export class SessionStateConflictError extends AnypodError {
  readonly code = 'ANYPOD_STATE_CONFLICT';
}

/** The session store does not support the optional methods that a feature needs. */
export class SessionStoreUnsupportedError extends AnypodError {
  readonly code = 'ANYPOD_STORE_UNSUPPORTED';
}

/** A backend is not there to be used: not reachable, not connected, its client not installed, or its address wrong. */
export class BackendUnavailableError extends AnypodError {
  readonly code = 'ANYPOD_BACKEND_UNAVAILABLE';
  /** Nobody answers there: it may be not yet, or no longer, and is no mistake in what was asked for. */
  readonly unreachable: boolean;

  constructor(message: string, options: { cause?: unknown; unreachable?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.unreachable = options.unreachable ?? false;
  }
}

/** `migrate()` found tables that a newer release has made, or could not make them. */
export class StoreSchemaError extends AnypodError {
  readonly code = 'ANYPOD_STORE_SCHEMA';
}

/**
 * The package does not support this Node, this version of the SDK, or a server of version 2 of the SDK. Thrown by the
 * constructor of the first transport, by `createMcpHandler`, or by the server's `connect`.
 */
export class UnsupportedRuntimeError extends AnypodError {
  readonly code = 'ANYPOD_UNSUPPORTED_RUNTIME';
}

/** A client session is not there, is another identity's, or has no such authorization under way. */
export class ClientSessionNotFoundError extends AnypodError {
  readonly code = 'ANYPOD_CLIENT_SESSION_NOT_FOUND';
}
