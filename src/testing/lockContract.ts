import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { LockStore } from '../locks/lockStore.js';
import { withLock } from '../locks/withLock.js';
import { equal, isTrue, rejects } from './assert.js';
import { runContract } from './contract.js';
import { having, type PairCases, pairs, type StoreContractOptions, type StorePair } from './storePair.js';

/** Longer than a busy machine delays a process, so that no lease ends by accident. */
const LEASE_MS = 800;
const CONTENDERS = 50;

const cases: PairCases = {
  async 'a lock has one holder at a time, also for a session that does not exist'(pair) {
    const { first, second, id } = locksOf(pair);
    equal(await first.acquireLock(id, 'a', LEASE_MS), true);
    equal(await second.acquireLock(id, 'b', LEASE_MS), false);
    await first.releaseLock(id, 'a');
    equal(await second.acquireLock(id, 'b', LEASE_MS), true);
    equal(await first.acquireLock(id, 'a', LEASE_MS), false);
  },

  async 'a lock is given in the order of the first requests, in whatever order they are repeated'(pair) {
    const { first, second, id } = locksOf(pair);
    const tokens = Array.from({ length: 12 }, (_, i) => `t${i}`);
    const storeOf = (token: string): LockStore => (tokens.indexOf(token) % 2 ? first : second);
    for (const token of tokens) await storeOf(token).acquireLock(id, token, 60_000);
    for (const [index, token] of tokens.entries()) {
      const others = tokens.slice(index + 1).reverse();
      for (const other of others) equal(await storeOf(other).acquireLock(id, other, 60_000), false, other);
      equal(await storeOf(token).acquireLock(id, token, 60_000), true, token);
      await storeOf(token).releaseLock(id, token);
    }
  },

  async 'a holder that asks again keeps the lock for the new lease'(pair) {
    const { first, second, id } = locksOf(pair);
    equal(await first.acquireLock(id, 'a', LEASE_MS), true);
    equal(await second.acquireLock(id, 'b', 10 * LEASE_MS), false);
    await pair.elapse(LEASE_MS * 0.6);
    equal(await first.acquireLock(id, 'a', 3 * LEASE_MS), true);
    await pair.elapse(LEASE_MS * 0.6);
    equal(await second.acquireLock(id, 'b', 10 * LEASE_MS), false);
    await first.releaseLock(id, 'a');
    equal(await second.acquireLock(id, 'b', LEASE_MS), true);
  },

  async 'only the holder of a lock can renew and release it'(pair) {
    const { first, second, id } = locksOf(pair);
    equal(await first.renewLock(id, 'a', LEASE_MS), false);
    await first.acquireLock(id, 'a', LEASE_MS);
    await second.acquireLock(id, 'b', 60_000);
    equal(await second.renewLock(id, 'b', LEASE_MS), false);
    await second.releaseLock(id, 'stranger');
    equal(await first.renewLock(id, 'a', LEASE_MS), true);
    await first.releaseLock(id, 'a');
    equal(await first.renewLock(id, 'a', LEASE_MS), false);
    equal(await second.acquireLock(id, 'b', LEASE_MS), true);
  },

  async 'a lock is free after its lease, and its former holder does not disturb the next one'(pair) {
    const { first, second, id } = locksOf(pair);
    await first.acquireLock(id, 'a', LEASE_MS);
    await second.acquireLock(id, 'b', 60_000);
    await pair.elapse(LEASE_MS * 1.1);
    equal(await first.renewLock(id, 'a', LEASE_MS), false);
    equal(await second.acquireLock(id, 'b', 60_000), true);
    equal(await first.renewLock(id, 'a', LEASE_MS), false);
    await first.releaseLock(id, 'a');
    equal(await first.acquireLock(id, 'a', LEASE_MS), false);
    equal(await second.renewLock(id, 'b', 60_000), true);
  },

  async 'a holder that renews its lock keeps it after the first lease'(pair) {
    const { first, second, id } = locksOf(pair);
    await first.acquireLock(id, 'a', LEASE_MS);
    for (let step = 0; step < 3; step++) {
      await pair.elapse(LEASE_MS * 0.5);
      equal(await second.renewLock(id, 'a', LEASE_MS), true);
      equal(await second.acquireLock(id, 'b', LEASE_MS), false);
    }
  },

  async 'a waiter that has stopped asking is skipped, and one that keeps asking is not'(pair) {
    const { first, second, id } = locksOf(pair);
    await first.acquireLock(id, 'holder', 60_000);
    await first.acquireLock(id, 'dead', LEASE_MS);
    await second.acquireLock(id, 'alive', LEASE_MS);
    await second.acquireLock(id, 'patient', 60_000);
    for (let step = 0; step < 3; step++) {
      await pair.elapse(LEASE_MS * 0.4);
      equal(await second.acquireLock(id, 'alive', LEASE_MS), false);
    }
    await first.releaseLock(id, 'holder');
    equal(await second.acquireLock(id, 'patient', 60_000), false);
    equal(await first.acquireLock(id, 'dead', 60_000), false);
    equal(await second.acquireLock(id, 'alive', LEASE_MS), true);
    await second.releaseLock(id, 'alive');
    equal(await first.acquireLock(id, 'dead', 60_000), false);
    equal(await second.acquireLock(id, 'patient', LEASE_MS), true);
  },

  async 'a waiter that has given up is skipped'(pair) {
    const { first, second, id } = locksOf(pair);
    await first.acquireLock(id, 'a', 60_000);
    await first.acquireLock(id, 'b', 60_000);
    await second.acquireLock(id, 'c', 60_000);
    await second.releaseLock(id, 'b');
    await first.releaseLock(id, 'a');
    equal(await second.acquireLock(id, 'c', LEASE_MS), true);
  },

  async 'the locks of sessions with unusual ids are kept apart'(pair) {
    const { first, second, id } = locksOf(pair);
    const ids = ['{a}', 'a', '{a}:lock', 'a}b{', '%', "'", '"', '*', '~'.repeat(200)].map(odd => odd + id);
    for (const each of ids) equal(await first.acquireLock(each, `holds ${each}`, LEASE_MS), true);
    for (const each of ids) equal(await second.acquireLock(each, 'other', LEASE_MS), false);
    for (const each of ids) await second.releaseLock(each, `holds ${each}`);
    for (const each of ids) equal(await second.acquireLock(each, 'other', LEASE_MS), true);
  }
};

const withLockCases: PairCases = {
  async 'withLock admits 50 contenders one at a time, in the order of their arrival'(pair) {
    const { first, second, id } = locksOf(pair);
    const order: number[] = [];
    let inside = 0;
    const enter = (index: number) =>
      withLock(index % 2 ? first : second, id, async () => {
        equal(++inside, 1);
        order.push(index);
        await delay(index % 3);
        equal(inside--, 1);
      });
    let arrived = 0;
    const contenders: Promise<void>[] = [];
    await withLock(first, id, async () => {
      while (contenders.length < CONTENDERS) contenders.push(enter(arrived++));
    });
    await Promise.all(contenders);
    equal(order.length, CONTENDERS);
    for (const parity of [0, 1]) {
      const own = order.filter(index => index % 2 === parity);
      equal(
        own,
        own.toSorted((a, b) => a - b)
      );
    }
  },

  async 'withLock renews the lease while the work takes longer than the lease'(pair) {
    const { first, second, id } = locksOf(pair);
    let done = false;
    let signal: AbortSignal | undefined;
    let began!: () => void;
    const begun = new Promise<void>(resolve => (began = resolve));
    const long = withLock(
      first,
      id,
      async given => {
        signal = given;
        began();
        await delay(LEASE_MS * 2.2);
        done = true;
        return 'result';
      },
      { leaseMs: LEASE_MS }
    );
    await begun;
    await withLock(second, id, () => equal(done, true), { leaseMs: LEASE_MS });
    equal(await long, 'result');
    equal(signal?.aborted, false);
  },

  async 'withLock fails after its timeout and leaves the queue'(pair) {
    const { first, second, id } = locksOf(pair);
    await first.acquireLock(id, 'holder', 60_000);
    // Long enough for a slow store to answer once: before that, the error says that the store does not answer.
    for (const timeoutMs of [500, 0]) {
      const waiting = withLock(second, id, () => {}, { timeoutMs, leaseMs: 60_000 });
      await rejects(waiting, `a lock that is held is not given within ${timeoutMs} ms`, 'ANYPOD_LOCK_TIMEOUT');
    }
    await first.releaseLock(id, 'holder');
    // A place that was not released would block the next caller.
    equal(await withLock(first, id, () => 'in', { timeoutMs: LEASE_MS }), 'in');
    equal(await withLock(first, id, () => 'again', { timeoutMs: 0 }), 'again');
  },

  async 'withLock releases the lock when the work throws, and throws its error'(pair) {
    const { first, second, id } = locksOf(pair);
    const mine = new RangeError('mine');
    const failing = withLock(first, id, () => {
      throw mine;
    });
    const thrown = await failing.then(
      () => undefined,
      (error: unknown) => error
    );
    isTrue(thrown === mine, 'withLock throws the very error that the work has thrown');
    equal(await second.acquireLock(id, 'next', LEASE_MS), true);
  },

  async 'withLock aborts the signal of work that has lost its lease, and the next waiter gets the lock'(pair) {
    const { first, second, id } = locksOf(pair);
    // Its renewals do not reach the store, as if the process with the lock were suspended.
    const deaf: LockStore = {
      acquireLock: (...args) => first.acquireLock(...args),
      renewLock: () => new Promise(() => {}),
      releaseLock: (...args) => first.releaseLock(...args)
    };
    let other: Promise<boolean> | undefined;
    const lost = withLock(
      deaf,
      id,
      async signal => {
        const aborted = new Promise(resolve => signal.addEventListener('abort', resolve));
        // Its lease is long, so that the waiting place does not depend on the machine's speed.
        other = withLock(second, id, () => true, { leaseMs: 60_000 });
        await pair.elapse(LEASE_MS);
        await aborted;
        equal(await other, true);
      },
      { leaseMs: LEASE_MS }
    );
    await rejects(lost, 'work that lost its lease fails', 'ANYPOD_LOCK_LOST');
  }
};

/** Tests the locks of a session store, and `withLock` with them. */
export function lockContract(options: StoreContractOptions): void {
  runContract('locks', options, [
    { cases, make: pairs(options) },
    { cases: withLockCases, make: pairs(options) }
  ]);
}

function locksOf(pair: StorePair): { first: LockStore; second: LockStore; id: string } {
  const methods = ['acquireLock', 'renewLock', 'releaseLock'] as const;
  return { first: having(pair.first, ...methods), second: having(pair.second, ...methods), id: randomUUID() };
}
