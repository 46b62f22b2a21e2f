import { AnypodError, reasonOf } from './anypodError.js';

export { AnypodError };

/** An error of a backend. Its message includes the reason of the `cause`, because logs often show only messages. */
abstract class BackendFailure extends AnypodError {
  constructor(message: string, options?: { cause?: unknown }) {
    const reason = reasonOf(options?.cause);
    super(reason === undefined || message.includes(reason) ? message : `${message} (${reason})`, options);
  }
}

/**
 * An option has an invalid value, or a name that is almost the name of another option. Thrown by the call that got the
 * option.
 */
export class InvalidOptionError extends AnypodError {
  readonly code = 'ANYPOD_INVALID_OPTION';

  /** The name of the option. */
  readonly option: string;

  /** @param kind - the kind of the given value, in words; never a text itself, because it may be a secret */
  constructor(option: string, kind: string, allowed: string) {
    super(`Invalid option ${option}: got ${kind}, expected ${allowed}`);
    this.option = option;
  }
}

/** The session store failed, refused a write, or did not answer within `storeTimeoutMs`. */
export class SessionStoreUnavailableError extends BackendFailure {
  readonly code = 'ANYPOD_STORE_UNAVAILABLE';
}

/** The store has a record of the session, but its content is invalid. It stays in the store for inspection. */
export class SessionRecordUnreadableError extends AnypodError {
  readonly code = 'ANYPOD_RECORD_UNREADABLE';
}

/** `storeSession` was called for a session that exists, or that was deleted a moment ago. */
export class SessionExistsError extends AnypodError {
  readonly code = 'ANYPOD_SESSION_EXISTS';
}

/** The event store failed or did not answer in time; the event was sent without an id. */
export class EventStoreUnavailableError extends BackendFailure {
  readonly code = 'ANYPOD_EVENT_STORE_UNAVAILABLE';
}

/**
 * A cursor (`Last-Event-ID`) names an event that the log does not have: it was never written, was trimmed, or has
 * expired.
 */
export class EventCursorError extends AnypodError {
  readonly code = 'ANYPOD_EVENT_CURSOR_UNKNOWN';
}

/** The bus between pods failed or did not answer in time, or carried a message that this pod cannot parse. */
export class BusUnavailableError extends BackendFailure {
  readonly code = 'ANYPOD_BUS_UNAVAILABLE';
}

/** A message exceeds `maxBusMessageBytes` and was not sent to other pods. */
export class BusMessageTooLargeError extends AnypodError {
  readonly code = 'ANYPOD_BUS_MESSAGE_TOO_LARGE';
}

/** A client does not read its stream or its answer. It was disconnected, because the messages for it use memory. */
export class SlowClientError extends AnypodError {
  readonly code = 'ANYPOD_SLOW_CLIENT';
}

/**
 * The server of a stored session could not be recovered completely, or its name differs from the server that opened the
 * session.
 */
export class SessionRecoveryError extends AnypodError {
  readonly code = 'ANYPOD_RECOVERY_FAILED';
}

/** The pod is full (`maxLiveSessions`, none idle) or is shutting down, or the session's transport was closed on it. */
export class PodUnavailableError extends AnypodError {
  readonly code = 'ANYPOD_POD_UNAVAILABLE';
}

/** A lock was not free within `timeoutMs`. If the store failed meanwhile, its last error is the `cause`. */
export class LockTimeoutError extends AnypodError {
  readonly code = 'ANYPOD_LOCK_TIMEOUT';
}

/** The lease of a lock ended before its holder had finished: another caller may hold the lock now. */
export class LockLostError extends AnypodError {
  readonly code = 'ANYPOD_LOCK_LOST';
}

/** The session does not exist: it was deleted or has expired, or the transport has no session. Nothing was written. */
export class SessionNotFoundError extends AnypodError {
  readonly code = 'ANYPOD_SESSION_NOT_FOUND';
}

/** A session's state is larger than `maxStateBytes`. Nothing was written. */
export class SessionStateTooLargeError extends AnypodError {
  readonly code = 'ANYPOD_STATE_TOO_LARGE';
}

/** Others changed a session's state each time `update` tried to write it. Nothing was written. */
export class SessionStateConflictError extends AnypodError {
  readonly code = 'ANYPOD_STATE_CONFLICT';
}

/** The session store does not support the optional methods that a feature needs. */
export class SessionStoreUnsupportedError extends AnypodError {
  readonly code = 'ANYPOD_STORE_UNSUPPORTED';
}

/**
 * A backend cannot be used: it is not reachable or not connected, its client is not installed, or its address is wrong.
 */
export class BackendUnavailableError extends AnypodError {
  readonly code = 'ANYPOD_BACKEND_UNAVAILABLE';
  /**
   * True if the backend does not answer: it has not started, or is down. False if the configuration is wrong.
   */
  readonly unreachable: boolean;

  constructor(message: string, options: { cause?: unknown; unreachable?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.unreachable = options.unreachable ?? false;
  }
}

/** `migrate()` found tables of a newer release, or could not create the tables. */
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

/** A client session does not exist, belongs to another identity, or does not have this authorization under way. */
export class ClientSessionNotFoundError extends AnypodError {
  readonly code = 'ANYPOD_CLIENT_SESSION_NOT_FOUND';
}
