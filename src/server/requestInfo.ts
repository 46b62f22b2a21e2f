import type { RequestSource, StateAccess } from '../engine/http/requestSource.js';
import type { RequestInfo } from '../sdkTypes.js';

/**
 * A request's headers and URL, for the application. They are built on first access, because most handlers never read them.
 * The SDK passes this object to the handlers unchanged, also in the copies of `extra` for tasks. So the state of the
 * request's session is linked to it.
 */
export class LazyRequestInfo implements RequestInfo {
  readonly #source: RequestSource;
  #headers: RequestInfo['headers'] | undefined;
  #url: URL | undefined;
  #state: StateAccess | undefined;

  constructor(source: RequestSource) {
    this.#source = source;
  }

  get headers(): RequestInfo['headers'] {
    return (this.#headers ??= this.#source.readHeaders());
  }

  get url(): URL {
    return (this.#url ??= this.#source.readUrl());
  }

  toJSON(): RequestInfo {
    return { headers: this.headers, url: this.url };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): RequestInfo {
    return this.toJSON();
  }

  /** Links a request to the state of the session that it belongs to: {@link stateOf} then returns it. */
  static linkState(info: LazyRequestInfo, state: StateAccess): void {
    info.#state = state;
  }

  /**
   * The state of the session that a request belongs to; undefined if the request did not come through a transport of
   * this package.
   */
  static stateOf(info: object): StateAccess | undefined {
    return #state in info ? info.#state : undefined;
  }
}
