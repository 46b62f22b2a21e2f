import { randomUUID } from 'node:crypto';
import type { SessionData, SessionStore } from '../ports/sessionStore.js';
import { equal, isTrue, rejects } from './assert.js';
import type { Cases } from './contract.js';
import { Fuzz, FUZZ_SEED, oddMetadata, oddSessionIds, oneMebibyte, record } from './samples.js';
import { SHORT_TTL_SECONDS, type StorePair, touch, withoutTimes } from './storePair.js';

type SessionCases = Cases<StorePair>;

const EXISTS = 'ANYPOD_SESSION_EXISTS';

export const fiveMethodCases = {
  async 'every field is returned as it was stored'({ first, second }) {
    await expectKept(first, second, record({ initialized: true, metadata: oddMetadata() }));
  },

  async 'a record may have only the five fields, without metadata'({ first, second }) {
    const bare = record();
    delete bare.metadata;
    await expectKept(first, second, bare);
    await expectKept(first, second, record({ metadata: {} }));
  },

  async 'metadata of 1 MiB is stored'({ first, second }) {
    await expectKept(first, second, record({ metadata: { text: oneMebibyte() } }));
  },

  async 'any JSON is stored unchanged as metadata'({ first, second }) {
    const fuzz = new Fuzz(FUZZ_SEED);
    for (let i = 0; i < 60; i++) {
      const metadata = { ...fuzz.object(fuzz.int(6), 3), mcp: { subscriptions: [fuzz.text()] } };
      await expectKept(first, second, record({ initialized: i % 2 === 0, metadata }));
    }
  },

  async 'a missing session is not an error: null or false is returned, or nothing is done'({ first }) {
    const sessionId = randomUUID();
    equal(await first.getSession(sessionId), null, 'getSession of a session that never existed');
    equal(await first.sessionExists(sessionId), false, 'sessionExists of a session that never existed');
    await first.updateSessionActivity(sessionId);
    await first.deleteSession(sessionId);
    equal(await first.sessionExists(sessionId), false, 'sessionExists after an activity and a deletion');
  },

  async 'a deleted session is missing on both instances'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    await second.deleteSession(data.sessionId);
    for (const store of [first, second]) await expectMissing(store, data.sessionId);
  },

  async 'of several deletions at the same time, one reports that it removed the session, or none reports anything'({
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

  async 'a late activity does not restore a deleted session'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    await first.deleteSession(data.sessionId);
    await second.updateSessionActivity(data.sessionId);
    await expectMissing(second, data.sessionId);
  },

  async 'sessions with unusual ids are kept apart, and all methods work for them'({ first, second }) {
    await expectApart(first, second, oddSessionIds());
  },

  async 'sessions with random ids are kept apart'({ first, second }) {
    const [run, fuzz] = [randomUUID(), new Fuzz(FUZZ_SEED)];
    const ids = Array.from({ length: 40 }, () => fuzz.visible(110) + run + fuzz.visible(110));
    await expectApart(first, second, [...new Set(ids)]);
  }
} satisfies SessionCases;

/** Of stores without `patchSession`. */
export const replacingCases = {
  async 'storing a session again replaces its record'({ first, second }) {
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
  async 'storing an id that exists is refused'({ first, second }) {
    const data = record({ metadata: { first: true } });
    await first.storeSession(data.sessionId, data);
    const again = record({ sessionId: data.sessionId, metadata: { second: true } });
    await rejects(second.storeSession(data.sessionId, again), 'an id that is taken is refused', EXISTS);
    equal((await first.getSession(data.sessionId))?.metadata, { first: true }, 'the metadata of the first record');
  },

  async 'of two creations of one id at the same time, one succeeds'({ first, second }) {
    const sessionId = randomUUID();
    const attempts = [first, second, first, second].map(store => store.storeSession(sessionId, record({ sessionId })));
    const outcomes = (await Promise.allSettled(attempts)).map(({ status }) => status).sort();
    equal(outcomes, ['fulfilled', 'rejected', 'rejected', 'rejected'], 'what became of four creations at once');
  },

  async 'of several deletions at the same time, one returns true and the others false, or all return nothing'({
    first,
    second
  }) {
    for (let round = 0; round < 5; round++) {
      const data = record();
      await first.storeSession(data.sessionId, data);
      const reported = await Promise.all([first, second, first].map(store => store.deleteSession(data.sessionId)));
      const isReported = reported.some(each => each !== undefined);
      if (isReported) equal(reported.toSorted(), [false, false, true], 'what three deletions at once have returned');
      equal((await first.deleteSession(data.sessionId)) ?? false, false, 'what a deletion of nothing returns');
    }
  },

  async 'the id of a session that was just deleted is refused'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    await first.deleteSession(data.sessionId);
    await rejects(second.storeSession(data.sessionId, data), 'an id that was just deleted is refused', EXISTS);
    await expectMissing(first, data.sessionId);
  },

  async 'no write during the deletion restores the session'({ first, second }) {
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
  async 'touchSession of a missing session returns null and creates nothing'({ first }) {
    const sessionId = randomUUID();
    equal(await first.touchSession!(sessionId), null, 'touchSession of a session that never existed');
    const known = record({ sessionId, revision: 1 });
    equal(
      await first.touchSession!(sessionId, known),
      null,
      'touchSession with a record of a session that never existed'
    );
    equal(await first.sessionExists(sessionId), false, 'sessionExists afterwards');
  },

  async 'touchSession returns the same record as getSession'({ first, second }) {
    const data = record({ initialized: true, metadata: oddMetadata() });
    await first.storeSession(data.sessionId, data);
    equal(withoutTimes(await second.touchSession!(data.sessionId)), withoutTimes(data), 'the record');
  },

  async 'touchSession returns the known record while it is unchanged'({ first, second }) {
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

export const refreshingCases = {
  async 'refreshSessions returns for each session whether it exists and is unchanged'({ first, second }) {
    const [kept, changed, deleted, never] = [record(), record(), record(), record({ revision: 1 })];
    const known: SessionData[] = [];
    for (const data of [kept, changed, deleted]) {
      await first.storeSession(data.sessionId, data);
      known.push((await first.touchSession!(data.sessionId))!);
    }
    known.push(never);
    equal(await first.refreshSessions!([]), [], 'of no session');
    equal(await first.refreshSessions!(known), [true, true, true, false], 'before the changes');
    await second.patchSession!(changed.sessionId, { logLevel: 'error' });
    await second.deleteSession(deleted.sessionId);
    equal(await first.refreshSessions!(known), [true, false, false, false], 'after the changes');
    equal(await first.sessionExists(never.sessionId), false, 'sessionExists of a session that never existed');
  }
} satisfies SessionCases;

/** With sessions that live for {@link SHORT_TTL_SECONDS}. */
export const expiryCases = {
  async 'a session expires after its time to live, which each activity restarts'({ first, second, elapse }) {
    const [updated, touched, held, kept, idle] = [record(), record(), record(), record(), record()];
    for (const data of [updated, touched, held, kept, idle]) await first.storeSession(data.sessionId, data);
    let known = (await touch(first, held.sessionId))!;
    const knownKept = (await touch(first, kept.sessionId))!;
    // More than twice the time to live, so that nothing that is kept beside the session lags behind.
    for (let step = 0; step < 8; step++) {
      await elapse(300);
      await second.updateSessionActivity(updated.sessionId);
      await touch(second, touched.sessionId);
      known = (await touch(first, held.sessionId, known))!;
      if (first.refreshSessions) equal(await first.refreshSessions([knownKept]), [true], 'refreshSessions');
      else await touch(first, kept.sessionId, knownKept);
      // Looking is no activity.
      await first.getSession(idle.sessionId);
      await first.sessionExists(idle.sessionId);
    }
    await expectMissing(first, idle.sessionId);
    // The id of an expired session is free; that of a deleted one is not.
    await second.storeSession(idle.sessionId, record({ sessionId: idle.sessionId }));
    for (const data of [updated, touched, held, kept]) {
      const read = await second.getSession(data.sessionId);
      equal(withoutTimes(read), withoutTimes(data), 'the record of a session that was active');
      isTrue(read!.lastActivity > data.lastActivity + 1000, 'its last activity is not that of its creation');
    }
    await elapse(SHORT_TTL_SECONDS * 1000 + 100);
    for (const data of [updated, touched, held]) await expectMissing(second, data.sessionId);
  },

  async 'creating a session counts as an activity, whatever times its record has'({ first, second, elapse }) {
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
