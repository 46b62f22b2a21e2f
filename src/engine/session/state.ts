import type { StateKeeper } from './sessionState.js';
import type { SessionStateEntry, StateWrite } from '../../ports/sessionStore.js';
import type { ResolvedOptions } from '../options.js';

/** What the state needs to know of the engine whose session it belongs to. */
export interface Stateful {
  readonly options: ResolvedOptions;
  readonly sessionId: string | undefined;
  readonly closed: boolean;
}

const NOTHING: SessionStateEntry = { value: null, version: 0 };

/** The state of one session: in the store, or in memory mode with the transport, and gone with it. */
export class EngineState implements StateKeeper {
  readonly #engine: Stateful;
  #local = NOTHING;

  constructor(engine: Stateful) {
    this.#engine = engine;
  }

  get maxStateBytes(): number {
    return this.#engine.options.maxStateBytes;
  }

  async getState(): Promise<SessionStateEntry | null> {
    const { options, sessionId } = this.#engine;
    if (sessionId === undefined) return null;
    if (options.directory) return options.directory.getState(sessionId);
    return this.#engine.closed ? null : this.#local;
  }

  async putState(value: string | null, ifVersion?: number): Promise<StateWrite> {
    const { options, sessionId } = this.#engine;
    if (sessionId === undefined) return 'missing';
    if (options.directory) return options.directory.putState(sessionId, value, ifVersion);
    if (this.#engine.closed) return 'missing';
    if (ifVersion !== undefined && ifVersion !== this.#local.version) return 'conflict';
    this.#local = { value, version: this.#local.version + 1 };
    return 'written';
  }
}
