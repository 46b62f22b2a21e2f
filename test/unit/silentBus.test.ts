import { PodEvents } from '../../src/events/podEvents.js';
import { Peers } from '../../src/engine/pods/peers.js';
import type { ResolvedOptions } from '../../src/engine/options.js';
import type { SessionBus } from '../../src/ports/sessionBus.js';

test('after a subscription has timed out, sessions do not wait for the bus until it has answered', async () => {
  const answers: (() => void)[] = [];
  const bus: SessionBus = {
    publish: async () => {},
    subscribe: () => new Promise(resolve => answers.push(() => resolve(async () => {}))),
    close: async () => {}
  };
  const options = { bus, storeTimeoutMs: 1000, events: new PodEvents() } as unknown as ResolvedOptions;
  const errors: Error[] = [];
  const join = async (sessionId: string) => {
    const started = performance.now();
    const listener = new Proxy({}, { get: () => () => {} }) as ConstructorParameters<typeof Peers>[1];
    await new Peers(options, listener, error => errors.push(error)).join(sessionId);
    return performance.now() - started;
  };

  expect(await join('first')).toBeGreaterThan(990);
  expect(await join('second')).toBeLessThan(900);
  expect(await join('third')).toBeLessThan(900);
  answers.forEach(answer => answer());
  await new Promise(resolve => setImmediate(resolve));
  expect(await join('after an answer')).toBeGreaterThan(990);
  expect(errors).toHaveLength(4);
});
