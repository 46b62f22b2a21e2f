import type { RequestInfo } from 'mcp-sdk-upstream/types.js';
import type { StateKeeper } from '../session/sessionState.js';

/** Where the headers and the URL come from. */
export interface RequestSource {
  readHeaders(): RequestInfo['headers'];
  readUrl(): URL;
}

/**
 * What the application is told of a request. Headers and URL are built when somebody looks: most handlers never do.
 * The SDK hands this object on to the handlers as it came from the transport, also in the copies of `extra` that it
 * makes for tasks, so it also leads to the state of the session that the request belongs to.
 */
export class LazyRequestInfo implements RequestInfo {
  readonly #source: RequestSource;
  #headers: RequestInfo['headers'] | undefined;
  #url: URL | undefined;
  #keeper: StateKeeper | undefined;

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

  /** From here on {@link keeperOf} tells of this state. */
  static belongsTo(info: LazyRequestInfo, keeper: StateKeeper): void {
    info.#keeper = keeper;
  }

  /** The state of the session that a request belongs to; undefined where it came through no transport of this package. */
  static keeperOf(info: object): StateKeeper | undefined {
    return #keeper in info ? info.#keeper : undefined;
  }
}
