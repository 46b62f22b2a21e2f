import type { SessionBus } from '../../ports/sessionBus.js';
import type { SessionStore } from '../../ports/sessionStore.js';

const buses = new WeakMap<SessionStore, SessionBus>();
/** How many users each bus has. Several stores may share a bus. */
const users = new WeakMap<SessionBus, number>();
const closed = new WeakSet<SessionBus>();

/** A store's own bus. All transports on the same store object share it. */
export function busOf(store: SessionStore | undefined): SessionBus | undefined {
  if (!store?.createBus) return undefined;
  const known = buses.get(store);
  if (known && !closed.has(known)) return known;
  const bus = store.createBus();
  closed.delete(bus);
  buses.set(store, bus);
  return bus;
}

/**
 * Keeps a store's own bus open until the returned function is called; the last such call closes the bus. An application that
 * makes its own transports closes the store instead.
 */
export function retainBus(store: SessionStore | undefined): () => Promise<void> {
  const bus = store && buses.get(store);
  if (!bus) return async () => {};
  users.set(bus, (users.get(bus) ?? 0) + 1);
  return async () => {
    const left = (users.get(bus) ?? 0) - 1;
    users.set(bus, left);
    if (left > 0) return;
    closed.add(bus);
    await bus.close();
  };
}
