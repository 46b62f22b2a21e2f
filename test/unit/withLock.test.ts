import {
  createMcpHandler,
  InMemorySessionStore,
  InvalidOptionError,
  LockTimeoutError,
  McpServer,
  SessionStoreUnavailableError,
  SessionStoreUnsupportedError,
  withLock,
  type LockStore,
  type McpHandlerOptions
} from 'mcp-sdk-anypod/server';
import { contendersFor } from '../../src/locks/contenders.js';
import { InMemoryLocks } from '../../src/backends/memory/locks.js';
import { MapSessionStore } from '../support/stores/mapSessionStore.js';

const never = () => Promise.reject(new Error('it has the lock'));
const makeHandler = (options: McpHandlerOptions = {}) =>
  createMcpHandler(() => new McpServer({ name: 'locks', version: '1' }), options);

describe('withLock', () => {
  it('refuses a store without locks rather than lock within the process alone', async () => {
    const call = withLock(new MapSessionStore(), 'a', never);
    await expect(call).rejects.toThrow(SessionStoreUnsupportedError);
    await expect(call).rejects.toThrow('acquireLock, renewLock, releaseLock');
    const half = Object.assign(new MapSessionStore(), { acquireLock: async () => true });
    await expect(withLock(half, 'a', never)).rejects.toThrow('missing: renewLock, releaseLock');
    await expect(makeHandler({ sessionStore: half }).withLock('a', never)).rejects.toThrow(
      SessionStoreUnsupportedError
    );
  });

  it.each([
    ['', {}],
    ['with space', {}],
    ['x'.repeat(257), {}],
    ['a', { timeoutMs: -1 }],
    ['a', { leaseMs: 0 }],
    ['a', { leaseMs: 100.5 }],
    ['a', { leaseMs: NaN }]
  ])('refuses %j with %j', async (sessionId, options) => {
    await expect(withLock(new InMemorySessionStore(), sessionId, never, options)).rejects.toThrow(InvalidOptionError);
  });

  it('on a handler locks for all handlers that share the store, and in memory mode for the handler itself', async () => {
    const sessionStore = new InMemorySessionStore();
    const [one, other] = [makeHandler({ sessionStore }), makeHandler({ sessionStore })];
    const [alone, lone] = [makeHandler(), makeHandler()];
    const fast = { timeoutMs: 0 };
    await one.withLock('a', async () => {
      await expect(other.withLock('a', never, fast)).rejects.toThrow(LockTimeoutError);
      await expect(one.withLock('a', never, fast)).rejects.toThrow(LockTimeoutError);
      expect(await other.withLock('b', () => 'another session', fast)).toBe('another session');
    });
    await alone.withLock('a', async () => {
      await expect(alone.withLock('a', never, fast)).rejects.toThrow(LockTimeoutError);
      expect(await lone.withLock('a', () => 'another handler', fast)).toBe('another handler');
    });
    expect(await alone.withLock('a', () => 'free', fast)).toBe('free');
  });

  it('distinguishes a failed store from a taken lock, and keeps waiting through a failure after it has queued', async () => {
    const locks = new InMemoryLocks();
    let failing = true;
    const flaky: LockStore = {
      acquireLock: (...args) => (failing ? Promise.reject(new Error('down')) : locks.acquireLock(...args)),
      renewLock: (...args) => locks.renewLock(...args),
      releaseLock: (...args) => locks.releaseLock(...args)
    };
    await expect(withLock(flaky, 'a', never)).rejects.toThrow(SessionStoreUnavailableError);
    failing = false;
    await locks.acquireLock('a', 'holder', 60_000);
    const waiting = withLock(flaky, 'a', () => 'in');
    await new Promise(setImmediate);
    failing = true;
    const late = withLock(flaky, 'a', never, { timeoutMs: 20 });
    await expect(late).rejects.toThrow(SessionStoreUnavailableError);
    await locks.releaseLock('a', 'holder');
    failing = false;
    expect(await waiting).toBe('in');
  });

  it('keeps nothing about callers that have been served', async () => {
    const store = new InMemorySessionStore();
    const before = contendersFor(store, 'a');
    await Promise.all([1, 2, 3].map(() => withLock(store, 'a', () => {})));
    await store.acquireLock('a', 'holder', 60_000);
    await expect(withLock(store, 'a', never, { timeoutMs: 10 })).rejects.toThrow(LockTimeoutError);
    expect(contendersFor(store, 'a')).not.toBe(before);
  });
});

describe('locks in memory', () => {
  it('are removed even if nobody has released them', async () => {
    let now = 0;
    const locks = new InMemoryLocks(() => now);
    for (let i = 0; i < 10_000; i++) {
      now += 10;
      await locks.acquireLock(`session ${i}`, 'holder', 100);
      await locks.acquireLock(`session ${i}`, 'waiter', 100);
    }
    expect(locks.size).toBeLessThan(500);
  });
});
