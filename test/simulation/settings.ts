import type { Random } from '../soak/random.js';
import type { Knowledge } from './pod.js';

const LEVELS = ['debug', 'info', 'warning', 'error'] as const;
const URIS = ['test://a', 'test://b', 'test://c'] as const;

export interface Change {
  readonly what: 'level' | 'subscription';
  readonly request: { readonly method: string; readonly params: Record<string, string> };
  readonly params: Record<string, string>;
  /** The session in which it was made, by number. */
  readonly session: number;
}

/** What a client has set in its session, as far as it was confirmed. */
export class Settings {
  #level: string | undefined;
  #uris = new Set<string>();
  /** What is not known because a change was not answered. */
  readonly #unknown = new Set<string>();
  #underWay = 0;
  /** Whether two changes were under way at the same time: then nobody can say which one counts. */
  #overlap = false;
  #session = 0;
  #confirmedAt = -Infinity;
  /** When a change was under way last. */
  lastChangeAt = -Infinity;

  change(what: Change['what'], random: Random): Change {
    if (what === 'level') {
      const params = { level: random.of(LEVELS) };
      return { what, request: { method: 'logging/setLevel', params }, params, session: this.#session };
    }
    const uri = random.of(URIS);
    const method = this.#uris.has(uri) ? 'resources/unsubscribe' : 'resources/subscribe';
    return { what, request: { method, params: { uri } }, params: { uri, method }, session: this.#session };
  }

  begin(now: number): void {
    if (this.#underWay++ > 0) this.#overlap = true;
    this.lastChangeAt = now;
  }

  end({ what, request: { method, params }, session }: Change, isConfirmed: boolean, now: number): void {
    this.#underWay--;
    this.lastChangeAt = this.#confirmedAt = now;
    const isClear = isConfirmed && !this.#overlap;
    if (this.#underWay === 0) this.#overlap = false;
    if (session !== this.#session) return;
    if (!isClear) this.#unknown.add(what);
    else if (what === 'level') {
      this.#level = params.level;
      this.#unknown.delete(what);
    } else if (method === 'resources/subscribe') this.#uris.add(params.uri!);
    else this.#uris.delete(params.uri!);
  }

  /** The client has a new session. */
  forget(): void {
    this.#session++;
    this.#level = undefined;
    this.#uris = new Set();
    this.#unknown.clear();
  }

  /**
   * What a server did not know though it was confirmed.
   * @param sentAt - when the request was sent that the server answered
   * @param slackMs - how long the news of a change may take
   */
  problem({ level, uris }: Knowledge, sentAt: number, slackMs: number): string | undefined {
    if (this.#underWay > 0 || sentAt <= this.#confirmedAt + slackMs) return undefined;
    if (!this.#unknown.has('level') && level !== this.#level)
      return `a server knew the level ${level}, not ${this.#level}`;
    const wanted = [...this.#uris].sort().join();
    if (!this.#unknown.has('subscription') && uris.join() !== wanted)
      return `a server knew the subscriptions ${uris.join()}, not ${wanted}`;
    return undefined;
  }
}
