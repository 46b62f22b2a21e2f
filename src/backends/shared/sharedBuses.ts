import type { SessionBus } from '../../ports/sessionBus.js';

interface Shared<B> {
  readonly bus: B;
  stores: number;
}

/**
 * Buses that the stores on one client have in common. A bus has a connection of its own, and an application may make a
 * store with each transport: that would be a connection for every session.
 */
export class SharedBuses<B extends SessionBus & { readonly closed?: boolean }> {
  readonly #byClient = new WeakMap<object, Map<string, Shared<B>>>();

  /**
   * For one store more, until it has left; the last one closes the bus.
   * @param name - what else tells one bus on the client from another
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
