import type { ResolvedOptions } from '../engine/options.js';
import type { PortHealth } from '../events/portCalls.js';
import { performance } from '../timers.js';

/** How a pod is, without asking anything: from its memory and its last calls. */
export interface HandlerHealth {
  /** The same as `handler.ready`. */
  readonly ready: boolean;
  /** Whether `close` was called. */
  readonly draining: boolean;
  /** How many sessions are live on this pod. */
  readonly liveSessions: number;
  /** Exchanges without a reply, and requests of either side without an answer. */
  readonly inFlight: number;
  /** The session store. Undefined in memory mode. */
  readonly store: PortHealth | undefined;
  /** The bus between pods. Undefined if there is none. */
  readonly bus: PortHealth | undefined;
  /** The event log. Undefined without `eventStore`. */
  readonly log: PortHealth | undefined;
}

export function portsHealth(options: ResolvedOptions): Pick<HandlerHealth, 'store' | 'bus' | 'log'> {
  const { events, storeAccess, bus, eventStore } = options;
  return {
    store: storeAccess && events.store.health(),
    bus: bus && events.bus.health(),
    log: eventStore && events.log.health()
  };
}

/** A store that was silent for this long is asked again, because an idle pod must notice that its store is gone. */
const SILENT_MS = 5000;
/** A store that failed is asked again after this time, because a pod that is not ready gets no requests. */
const RETRY_MS = 500;

/** Knows whether the session store of a pod answers. It asks only if somebody wants to know. */
export class StoreReadiness {
  readonly #options: ResolvedOptions;
  #askedAt = -Infinity;
  #asking = false;

  constructor(options: ResolvedOptions) {
    this.#options = options;
  }

  /** Whether the last call to the store was answered. If that was long ago, the store is asked in the background. */
  look(): boolean {
    const { storeAccess, events } = this.#options;
    if (!storeAccess) return true;
    const { isFailing, silentMs } = events.store;
    const isDue = isFailing ? performance.now() - this.#askedAt >= RETRY_MS : silentMs >= SILENT_MS;
    if (isDue && !this.#asking) void this.#ask();
    return !isFailing;
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    this.#askedAt = performance.now();
    // The outcome is noted where calls are timed.
    await this.#options.storeAccess?.probe().catch(() => {});
    this.#asking = false;
  }
}
