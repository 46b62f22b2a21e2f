/** Every error this package throws or reports. `code` is stable across releases, `message` is not. */
export abstract class AnypodError extends Error {
  abstract readonly code: string;

  // Not `ErrorOptions`: a library of types before ES2022 has no such name.
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** An option has a value that it cannot have. Thrown where the option is given. */
export class InvalidOptionError extends AnypodError {
  readonly code = 'ANYPOD_INVALID_OPTION';

  /** @param kind - what was given, in words; never a text itself, which may be a secret */
  constructor(
    readonly option: string,
    kind: string,
    allowed: string
  ) {
    super(`Invalid option ${option}: got ${kind}, expected ${allowed}`);
  }
}

/** The session store failed, refused a write, or did not answer within `storeTimeoutMs`. */
export class SessionStoreUnavailableError extends AnypodError {
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
export class EventStoreUnavailableError extends AnypodError {
  readonly code = 'ANYPOD_EVENT_STORE_UNAVAILABLE';
}

/** A cursor (`Last-Event-ID`) names an event that the log does not have: never written, or trimmed, or expired. */
export class EventCursorError extends AnypodError {
  readonly code = 'ANYPOD_EVENT_CURSOR_UNKNOWN';
}

/** The bus between pods failed or did not answer in time, or carried something that this pod does not understand. */
export class BusUnavailableError extends AnypodError {
  readonly code = 'ANYPOD_BUS_UNAVAILABLE';
}

/** A message is over `maxBusMessageBytes` and was not sent to other pods. */
export class BusMessageTooLargeError extends AnypodError {
  readonly code = 'ANYPOD_BUS_MESSAGE_TOO_LARGE';
}

/** A client does not read its stream; the stream was closed rather than buffered without end. */
export class SlowClientError extends AnypodError {
  readonly code = 'ANYPOD_SLOW_CLIENT';
}

/** A session was found and its server could not be brought to where the client left it. */
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

/** The session store has not the optional methods that something needs. */
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
