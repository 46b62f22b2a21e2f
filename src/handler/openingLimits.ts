import type { AuthInfo, RequestInfo } from '../sdkTypes.js';
import type { Exchange, Reply } from '../engine/http/exchange.js';
import { storeFailure, tooManyRequests } from '../engine/http/replies.js';
import type { ResolvedOptions } from '../engine/options.js';
import { principalOf } from '../engine/session/lookup.js';
import { InvalidOptionError, SessionStoreUnavailableError } from '../errors.js';
import type { RefusalReason } from '../events/payloads.js';
import type { PortErrors } from '../events/portCalls.js';
import type { ReportError } from '../report.js';
import { performance } from '../timers.js';
import { checkFunction, checkNumber, checkOptionsObject } from '../validate.js';

const LIST_ERRORS: PortErrors = {
  late: (_name, timeoutMs) => new Error(`no answer within ${timeoutMs} ms`),
  failed: (error, name) => new SessionStoreUnavailableError(`${name} failed`, { cause: error })
};

/** Limits on the number of sessions that clients may open. */
export interface OpeningLimitOptions {
  /**
   * How many sessions one principal (`principalOf`) may have at a time, on all pods together. One more is answered 429
   * with `Retry-After`. Each opening reads the index of the principal's sessions. Concurrent openings on several pods
   * may exceed the limit by the number of pods. A client without a principal is not limited. Needs a session store with
   * `listSessionIds`.
   * @default no limit
   */
  maxSessionsPerPrincipal?: number;
  /** How often sessions may be opened on this pod. One more is answered 429 with `Retry-After`. @default no limit */
  openRateLimit?: OpenRateLimit;
}

/** A limit on how often a client may open a session, counted by each pod separately. */
export interface OpenRateLimit {
  /** How many sessions each key may open within `windowMs`. */
  limit: number;
  /** The length of the window in milliseconds. It starts with a key's first opening. @default 60000 */
  windowMs?: number;
  /**
   * Returns the key for counting, for example from a header that your proxy sets. Undefined: not limited.
   * @default the principal; all clients without one are counted together
   */
  keyOf?: (request: { authInfo: AuthInfo | undefined; requestInfo: RequestInfo }) => string | undefined;
}

/** The names of all options; the type keeps the list complete. */
const RATE_LIMIT_NAMES: Readonly<Record<keyof OpenRateLimit, true>> = {
  limit: true,
  windowMs: true,
  keyOf: true
};

const DEFAULT_WINDOW_MS = 60_000;
/** How many keys are counted at a time. Beyond it, the key with the oldest window is forgotten. */
const MAX_KEYS = 10_000;
/** The `Retry-After` for a client with too many sessions. The end of its sessions is not known. */
const RETRY_SESSIONS_SECONDS = 60;

/** Refuses to open sessions that exceed a limit. */
export class OpeningLimits {
  readonly #maxSessions: number | undefined;
  readonly #rate: OpenRateLimit | undefined;
  readonly #options: ResolvedOptions;
  readonly #report: ReportError;
  /** Openings under way on this pod, by principal: the index may not contain them yet. */
  readonly #pending = new Map<string, number>();
  readonly #windows = new Map<string, { count: number; endsAt: number }>();

  /** @throws InvalidOptionError */
  constructor(limits: OpeningLimitOptions, options: ResolvedOptions, report: ReportError) {
    const { maxSessionsPerPrincipal, openRateLimit } = limits;
    checkNumber('maxSessionsPerPrincipal', maxSessionsPerPrincipal, { min: 1, integer: true });
    if (maxSessionsPerPrincipal !== undefined && !options.store?.listSessionIds) {
      throw new InvalidOptionError('maxSessionsPerPrincipal', 'a limit', 'a sessionStore with listSessionIds as well');
    }
    if (openRateLimit !== undefined) {
      checkOptionsObject('openRateLimit', openRateLimit, RATE_LIMIT_NAMES);
      if ((openRateLimit as Partial<OpenRateLimit>).limit === undefined) {
        throw new InvalidOptionError('openRateLimit.limit', 'undefined', 'an integer of at least 1');
      }
      checkNumber('openRateLimit.limit', openRateLimit.limit, { min: 1, integer: true });
      checkNumber('openRateLimit.windowMs', openRateLimit.windowMs, { min: 1 });
      checkFunction('openRateLimit.keyOf', openRateLimit.keyOf);
    }
    this.#maxSessions = maxSessionsPerPrincipal;
    this.#rate = openRateLimit;
    this.#options = options;
    this.#report = report;
  }

  /** @returns the reply if the opening exceeds a limit, otherwise a function to call after the opening */
  async begin(exchange: Exchange): Promise<Reply | (() => void)> {
    try {
      const retrySeconds = this.#rate && this.#overRate(exchange, this.#rate);
      if (retrySeconds !== undefined) return this.#refuse('Sessions are opened too often', retrySeconds, 'open-rate');
      const principal = this.#maxSessions === undefined ? undefined : principalOf(exchange, this.#options);
      return principal === undefined ? () => {} : await this.#beginFor(principal, this.#maxSessions as number);
    } catch (error) {
      return storeFailure(error, this.#report);
    }
  }

  /** @returns undefined, or the number of seconds after which the client may try again */
  #overRate(exchange: Exchange, { limit, windowMs = DEFAULT_WINDOW_MS, keyOf }: OpenRateLimit): number | undefined {
    const { dialect } = this.#options;
    const request = (): Parameters<NonNullable<OpenRateLimit['keyOf']>>[0] => ({
      authInfo: exchange.authInfo,
      requestInfo: dialect.requestInfoOf(exchange)
    });
    const key = keyOf ? keyOf(request()) : (principalOf(exchange, this.#options) ?? '');
    if (key === undefined) return undefined;
    const now = performance.now();
    let window = this.#windows.get(key);
    if (!window || window.endsAt <= now) {
      window = { count: 0, endsAt: now + windowMs };
      // Moved to the end: the map is ordered by the start of the windows.
      this.#windows.delete(key);
      this.#windows.set(key, window);
      if (this.#windows.size > MAX_KEYS) this.#windows.delete(this.#windows.keys().next().value as string);
    }
    if (window.count >= limit) return Math.ceil((window.endsAt - now) / 1000);
    window.count++;
    return undefined;
  }

  async #beginFor(principal: string, max: number): Promise<Reply | (() => void)> {
    const pending = this.#pending.get(principal) ?? 0;
    this.#pending.set(principal, pending + 1);
    const done = (): void => {
      const left = (this.#pending.get(principal) ?? 1) - 1;
      if (left > 0) this.#pending.set(principal, left);
      else this.#pending.delete(principal);
    };
    try {
      if ((await this.#count(principal, max)) + pending < max) return done;
    } catch (error) {
      done();
      throw error;
    }
    done();
    return this.#refuse(`There are ${max} sessions already`, RETRY_SESSIONS_SECONDS, 'session-limit');
  }

  /** Counts the sessions of a principal, up to `max`. */
  async #count(principal: string, max: number): Promise<number> {
    const { store, storeTimeoutMs, events } = this.#options;
    const run = async (): Promise<number> => {
      let found = 0;
      for await (const ids of store?.listSessionIds?.({ principal }) ?? []) if ((found += ids.length) >= max) break;
      return found;
    };
    return events.store.call({ name: 'listSessionIds', run, timeoutMs: storeTimeoutMs }, LIST_ERRORS);
  }

  #refuse(problem: string, retrySeconds: number, refusal: RefusalReason): Reply {
    this.#report(new Error(`A session was not opened: ${problem}`));
    return tooManyRequests(problem, retrySeconds, refusal);
  }
}
