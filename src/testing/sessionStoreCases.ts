import { randomUUID } from 'node:crypto';
import type { SessionData, SessionStore } from '../ports/sessionStore.js';
import { equal, isTrue, rejects } from './assert.js';
import type { Cases } from './contract.js';
import { Fuzz, FUZZ_SEED, oddMetadata, oddSessionIds, oneMebibyte, record } from './samples.js';
import { SHORT_TTL_SECONDS, type StorePair, touch, withoutTimes } from './storePair.js';

type SessionCases = Cases<StorePair>;

const EXISTS = 'ANYPOD_SESSION_EXISTS';

export const fiveMethodCases = {
  async 'gives every field back as it was stored'({ first, second }) {
    await expectKept(first, second, record({ initialized: true, metadata: oddMetadata() }));
  },

  async 'takes a record with the five fields alone, and without metadata'({ first, second }) {
    const bare = record();
    delete bare.metadata;
    await expectKept(first, second, bare);
    await expectKept(first, second, record({ metadata: {} }));
  },

  async 'takes metadata of 1 MiB'({ first, second }) {
    await expectKept(first, second, record({ metadata: { text: oneMebibyte() } }));
  },

  async 'keeps whatever JSON it is given as metadata'({ first, second }) {
    const fuzz = new Fuzz(FUZZ_SEED);
    for (let i = 0; i < 60; i++) {
      const metadata = { ...fuzz.object(fuzz.int(6), 3), mcp: { subscriptions: [fuzz.text()] } };
      await expectKept(first, second, record({ initialized: i % 2 === 0, metadata }));
    }
  },

  async 'knows missing as a value: null, false, nothing done'({ first }) {
    const sessionId = randomUUID();
    equal(await first.getSession(sessionId), null, 'getSession of a session that never was');
    equal(await first.sessionExists(sessionId), false, 'sessionExists of a session that never was');
    await first.updateSessionActivity(sessionId);
    await first.deleteSession(sessionId);
    equal(await first.sessionExists(sessionId), false, 'sessionExists after an activity and a deletion');
  },

  async 'forgets a deleted session on both sides'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    await second.deleteSession(data.sessionId);
    for (const store of [first, second]) await expectMissing(store, data.sessionId);
  },

  async 'reports to one of several deletions at once that it removed the session, if it reports it at all'({
    first,
    second
  }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    const outcomes = await Promise.all([first, second, first].map(store => store.deleteSession(data.sessionId)));
    if (outcomes.every(outcome => outcome === undefined)) return;
    equal(outcomes.filter(Boolean), [true], 'the deletions that report that they removed the session');
    equal(await first.deleteSession(data.sessionId), false, 'what another deletion reports afterwards');
  },

  async 'brings nothing deleted back by an activity that comes late'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    await first.deleteSession(data.sessionId);
    await second.updateSessionActivity(data.sessionId);
    await expectMissing(second, data.sessionId);
  },

  async 'keeps sessions with odd ids apart, and works for each'({ first, second }) {
    await expectApart(first, second, oddSessionIds());
  },

  async 'keeps sessions with whatever ids apart'({ first, second }) {
    const [run, fuzz] = [randomUUID(), new Fuzz(FUZZ_SEED)];
    const ids = Array.from({ length: 40 }, () => fuzz.visible(110) + run + fuzz.visible(110));
    await expectApart(first, second, [...new Set(ids)]);
  }
} satisfies SessionCases;

/** Of stores without `patchSession`. */
export const replacingCases = {
  async 'replaces a record that is there when it is stored again'({ first, second }) {
    const data = record({ metadata: { a: 1, b: 1 } });
    await first.storeSession(data.sessionId, data);
    const again = { ...data, initialized: true, metadata: { b: 2 } };
    await second.storeSession(data.sessionId, again);
    equal(
      withoutTimes(await first.getSession(data.sessionId)),
      withoutTimes(again),
      'the record that replaced the first'
    );
  }
} satisfies SessionCases;

/** Of stores with `patchSession`. */
export const creatingCases = {
  async 'creates only where nothing is'({ first, second }) {
    const data = record({ metadata: { first: true } });
    await first.storeSession(data.sessionId, data);
    const again = record({ sessionId: data.sessionId, metadata: { second: true } });
    await rejects(second.storeSession(data.sessionId, again), 'an id that is taken is refused', EXISTS);
    equal((await first.getSession(data.sessionId))?.metadata, { first: true }, 'the metadata of the first record');
  },

  async 'lets one of two creations win'({ first, second }) {
    const sessionId = randomUUID();
    const attempts = [first, second, first, second].map(store => store.storeSession(sessionId, record({ sessionId })));
    const outcomes = (await Promise.allSettled(attempts)).map(({ status }) => status).sort();
    equal(outcomes, ['fulfilled', 'rejected', 'rejected', 'rejected'], 'what became of four creations at once');
  },

  async 'reports one deletion if several delete a session at once, unless the store cannot tell'({ first, second }) {
    for (let round = 0; round < 5; round++) {
      const data = record();
      await first.storeSession(data.sessionId, data);
      const told = await Promise.all([first, second, first].map(store => store.deleteSession(data.sessionId)));
      const isTold = told.some(each => each !== undefined);
      if (isTold) equal(told.toSorted(), [false, false, true], 'what three deletions at once have returned');
      equal((await first.deleteSession(data.sessionId)) ?? false, false, 'what a deletion of nothing returns');
    }
  },

  async 'refuses the id of a session that was deleted a moment ago'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    await first.deleteSession(data.sessionId);
    await rejects(second.storeSession(data.sessionId, data), 'an id that was just deleted is refused', EXISTS);
    await expectMissing(first, data.sessionId);
  },

  async 'brings nothing deleted back by any write that races the deletion'({ first, second }) {
    const sessionIds = Array.from({ length: 20 }, () => randomUUID());
    await Promise.all(sessionIds.map(sessionId => first.storeSession(sessionId, record({ sessionId }))));
    const race = sessionIds.flatMap((sessionId, index) => {
      const writes = [
        () => second.updateSessionActivity(sessionId),
        () => second.patchSession!(sessionId, { subscribe: 'file:///late' }),
        () => first.deleteSession(sessionId),
        () => touch(second, sessionId),
        () => second.storeSession(sessionId, record({ sessionId }))
      ];
      return [...writes.slice(index % 5), ...writes.slice(0, index % 5)].map(write => write());
    });
    await Promise.allSettled(race);
    for (const sessionId of sessionIds) {
      await rejects(second.storeSession(sessionId, record({ sessionId })), 'the id stays refused', EXISTS);
      await expectMissing(first, sessionId);
    }
  }
} satisfies SessionCases;

export const touchingCases = {
  async 'touches only where something is'({ first }) {
    const sessionId = randomUUID();
    equal(await first.touchSession!(sessionId), null, 'touchSession of a session that never was');
    const known = record({ sessionId, revision: 1 });
    equal(await first.touchSession!(sessionId, known), null, 'touchSession with a record of a session that never was');
    equal(await first.sessionExists(sessionId), false, 'sessionExists afterwards');
  },

  async 'gives the record with a touch as with a look'({ first, second }) {
    const data = record({ initialized: true, metadata: oddMetadata() });
    await first.storeSession(data.sessionId, data);
    equal(withoutTimes(await second.touchSession!(data.sessionId)), withoutTimes(data), 'the record');
  },

  async 'gives the known record back while it is unchanged'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    const known = (await first.touchSession!(data.sessionId))!;
    isTrue((await first.touchSession!(data.sessionId, known)) === known, 'the very object that was known');
    await second.updateSessionActivity(data.sessionId);
    isTrue((await first.touchSession!(data.sessionId, known)) === known, 'the same after an activity elsewhere');
    const read = (await second.getSession(data.sessionId))!;
    isTrue((await second.touchSession!(data.sessionId, read)) === read, 'the same where getSession has read it');
  }
} satisfies SessionCases;

/** With sessions that live for {@link SHORT_TTL_SECONDS}. */
export const expiryCases = {
  async 'lets a session expire, unless an activity starts its time to live anew'({ first, second, elapse }) {
    const [updated, touched, held, idle] = [record(), record(), record(), record()];
    for (const data of [updated, touched, held, idle]) await first.storeSession(data.sessionId, data);
    let known = (await touch(first, held.sessionId))!;
    // More than twice the time to live, so that nothing that is kept beside the session lags behind.
    for (let step = 0; step < 8; step++) {
      await elapse(300);
      await second.updateSessionActivity(updated.sessionId);
      await touch(second, touched.sessionId);
      known = (await touch(first, held.sessionId, known))!;
      // Looking is no activity.
      await first.getSession(idle.sessionId);
      await first.sessionExists(idle.sessionId);
    }
    await expectMissing(first, idle.sessionId);
    // The id of an expired session is free; that of a deleted one is not.
    await second.storeSession(idle.sessionId, record({ sessionId: idle.sessionId }));
    for (const data of [updated, touched, held]) {
      const read = await second.getSession(data.sessionId);
      equal(withoutTimes(read), withoutTimes(data), 'the record of a session that was active');
      isTrue(read!.lastActivity > data.lastActivity + 1000, 'its last activity is not that of its creation');
    }
    await elapse(SHORT_TTL_SECONDS * 1000 + 100);
    for (const data of [updated, touched, held]) await expectMissing(second, data.sessionId);
  },

  async 'counts the creation as an activity, whatever times the record tells'({ first, second, elapse }) {
    const old = record({ createdAt: 1, lastActivity: 1 });
    await first.storeSession(old.sessionId, old);
    await elapse(50);
    equal((await second.getSession(old.sessionId))?.createdAt, 1, 'the time of creation');
  }
} satisfies SessionCases;

async function expectKept(first: SessionStore, second: SessionStore, data: SessionData): Promise<void> {
  await first.storeSession(data.sessionId, data);
  const read = await second.getSession(data.sessionId);
  equal(withoutTimes(read), withoutTimes(data), 'the record as it was stored');
  // A backend may keep it to the second, or by its own clock.
  isTrue(Math.abs(read!.lastActivity - data.lastActivity) < 5000, 'its last activity is its creation');
  equal(await second.sessionExists(data.sessionId), true, 'sessionExists of a session that is there');
}

async function expectApart(first: SessionStore, second: SessionStore, sessionIds: readonly string[]): Promise<void> {
  for (const sessionId of sessionIds) await first.storeSession(sessionId, record({ sessionId }));
  for (const sessionId of sessionIds) {
    equal((await touch(second, sessionId))?.sessionId, sessionId, `the session with the id ${sessionId}`);
    await second.updateSessionActivity(sessionId);
    await second.deleteSession(sessionId);
    equal(await first.sessionExists(sessionId), false, `sessionExists of ${sessionId}, which was deleted`);
  }
}

async function expectMissing(store: SessionStore, sessionId: string): Promise<void> {
  equal(await store.getSession(sessionId), null, 'getSession of a session that is gone');
  equal(await store.sessionExists(sessionId), false, 'sessionExists of a session that is gone');
  if (store.touchSession) equal(await store.touchSession(sessionId), null, 'touchSession of a session that is gone');
  const patched = await store.patchSession?.(sessionId, { initialized: true });
  isTrue(patched !== true, 'patchSession of a session that is gone changes nothing');
}
