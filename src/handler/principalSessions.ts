import type { AuthInfo } from '../sdkTypes.js';
import type { ReportError } from '../report.js';
import type { ResolvedOptions } from '../engine/options.js';
import { isInNamespace } from '../engine/session/principal.js';
import { InvalidOptionError, SessionStoreUnavailableError, SessionStoreUnsupportedError } from '../errors.js';
import { kindOf } from '../validate.js';

/** How many sessions are read or ended concurrently. */
const CONCURRENCY = 50;

/** The sessions of a principal, on all pods. */
export class PrincipalSessions {
  readonly #options: ResolvedOptions;
  readonly #terminate: (sessionId: string) => Promise<void>;
  readonly #report: ReportError;

  constructor(options: ResolvedOptions, terminate: (sessionId: string) => Promise<void>, report: ReportError) {
    this.#options = options;
    this.#terminate = terminate;
    this.#report = report;
  }

  async *list(principal: string | AuthInfo): AsyncGenerator<string, void, undefined> {
    for await (const sessionIds of this.#batches(principal, 'listSessions')) yield* sessionIds;
  }

  async revoke(principal: string | AuthInfo): Promise<number> {
    let ended = 0;
    let failure: unknown;
    for await (const sessionIds of this.#batches(principal, 'revokeSessions')) {
      for (const outcome of await Promise.allSettled(sessionIds.map(this.#terminate))) {
        if (outcome.status === 'fulfilled') ended++;
        else this.#report((failure = outcome.reason) as Error);
      }
    }
    if (failure !== undefined) throw failure as Error;
    return ended;
  }

  async *#batches(who: string | AuthInfo, what: string): AsyncGenerator<string[], void, undefined> {
    const principal = this.#nameOf(who);
    const { store, storeAccess } = this.#options;
    if (!storeAccess || !store?.listSessionIds) {
      throw new SessionStoreUnsupportedError(
        storeAccess ? `${what} needs a store with listSessionIds` : `${what} needs external mode: a sessionStore`
      );
    }
    const batches = store.listSessionIds({ principal })[Symbol.asyncIterator]();
    for (;;) {
      const batch = await failing(batches.next());
      if (batch.done) return;
      for (let i = 0; i < batch.value.length; i += CONCURRENCY) {
        const sessionIds = batch.value.slice(i, i + CONCURRENCY);
        const records = await Promise.all(sessionIds.map(sessionId => storeAccess.read(sessionId)));
        // The index may be out of date. The record decides to whom the session belongs: an id may have a new owner.
        yield sessionIds.filter((_, index) => {
          const record = records[index];
          const owner = record?.metadata?.mcp;
          return owner?.principal === principal && isInNamespace(owner, this.#options.namespace);
        });
      }
    }
  }

  #nameOf(who: string | AuthInfo): string {
    const principal = typeof who === 'object' && who !== null ? this.#options.principalOf(who) : who;
    if (typeof principal === 'string') return principal;
    throw new InvalidOptionError('principal', kindOf(who), 'a principal, or auth info that names one');
  }
}

async function failing<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw new SessionStoreUnavailableError('listSessionIds failed', { cause: error });
  }
}
