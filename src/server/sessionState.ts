import { type SessionState, StoredState } from '../engine/session/sessionState.js';
import { InvalidOptionError } from '../errors.js';
import { kindOf } from '../validate.js';
import { LazyRequestInfo } from './requestInfo.js';

/** The part of the SDK's `RequestHandlerExtra` that `sessionState` needs. */
export interface RequestExtra {
  /** The HTTP request of the message, as the SDK passes it to handlers. */
  readonly requestInfo?: object | undefined;
}

/**
 * The state of the session that a request belongs to, on any pod.
 * @param extra - the `extra` argument of a handler of a tool, resource, prompt or request, or a copy of it
 * @throws InvalidOptionError if the request did not come through a transport of this package
 */
export function sessionState<T = unknown>(extra: RequestExtra): SessionState<T> {
  const access = extra?.requestInfo && LazyRequestInfo.stateOf(extra.requestInfo);
  if (!access) {
    throw new InvalidOptionError(
      'extra',
      kindOf(extra),
      'the extra argument of a request handler, for a request that came through a transport of this package'
    );
  }
  return new StoredState<T>(access);
}
