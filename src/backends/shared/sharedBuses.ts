import type { SessionBus } from '../../ports/sessionBus.js';

interface Shared<B> {
  readonly bus: B;
  stores: number;
}

/**
 * Buses that all stores on one client share. Each bus opens a connection. An application may create a store for each
 * transport; without sharing, each session would then have a connection.
 */
export class SharedBuses<B extends SessionBus & { readonly closed?: boolean }> {
  readonly #byClient = new WeakMap<object, Map<string, Shared<B>>>();

  /**
   * Adds a store to the bus until it calls `leave`; the last store that leaves closes the bus.
   * @param name - distinguishes the buses on one client
   */
  join(client: object, name: string, make: () => B): { bus: B; leave: () => Promise<void> } {
    const byName = this.#byClient.get(client) ?? new Map<string, Shared<B>>();
    this.#byClient.set(client, byName);
    let shared = byName.get(name);
    if (!shared || shared.bus.closed) byName.set(name, (shared = { bus: make(), stores: 0 }));
    const { bus } = shared;
    shared.stores++;
    let leaving: Promise<void> | undefined;
    const leave = async (): Promise<void> => {
      if (--shared.stores > 0) return;
      if (byName.get(name) === shared) byName.delete(name);
      await bus.close();
    };
    return { bus, leave: () => (leaving ??= leave()) };
  }
}
