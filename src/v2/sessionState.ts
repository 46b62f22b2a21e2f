import { type SessionState, StoredState } from '../engine/session/sessionState.js';
import { InvalidOptionError } from '../errors.js';
import { kindOf } from '../validate.js';
import { stateOf } from './lazyRequest.js';

/** The part of the SDK's `ServerContext` that `sessionState` needs. */
export interface RequestContext {
  /** The HTTP request of the message, as the SDK passes it to handlers. */
  readonly http?: { readonly req?: object | undefined } | undefined;
}

/**
 * The state of the session that a request belongs to, on any pod. Requests of protocol 2026-07-28 belong to no session.
 * @param ctx - the `ctx` argument of a handler of a tool, resource, prompt or request, or a copy of it
 * @throws InvalidOptionError if the request does not belong to a session of a transport of this package
 */
export function sessionState<T = unknown>(ctx: RequestContext): SessionState<T> {
  const access = ctx?.http?.req && stateOf(ctx.http.req);
  if (!access) {
    throw new InvalidOptionError(
      'ctx',
      kindOf(ctx),
      'the ctx argument of a request handler, for a request that belongs to a session of this package'
    );
  }
  return new StoredState<T>(access);
}
