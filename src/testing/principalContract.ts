import { pause } from '../deadline.js';
import { randomUUID } from 'node:crypto';
import type { SessionFilter, SessionStore } from '../ports/sessionStore.js';
import { equal, isTrue } from './assert.js';
import { runContract } from './contract.js';
import {
  createSession,
  having,
  type PairCases,
  pairs,
  SHORT_TTL_SECONDS,
  type StoreContractOptions
} from './storePair.js';

/** More than one batch. */
const MANY = 700;

const cases: PairCases = {
  async 'every instance lists the sessions of a principal, and no others'({ first, second }) {
    const [alice, bob] = [randomUUID(), randomUUID()];
    const ofAlice = [
      await createSession(first, { principal: alice }),
      await createSession(second, { principal: alice })
    ];
    const ofBob = await createSession(second, { principal: bob });
    const ofNobody = await createSession(first);
    for (const store of [first, second]) {
      equal(await idsOf(store, { principal: alice }), ofAlice.toSorted());
      equal(await idsOf(store, { principal: bob }), [ofBob]);
      equal(await idsOf(store, { principal: randomUUID() }), []);
      const all = await idsOf(store);
      for (const id of [...ofAlice, ofBob, ofNobody])
        isTrue(all.includes(id), 'the list of all sessions has each of them');
    }
  },

  async 'deleted sessions are not listed'({ first, second }) {
    const principal = randomUUID();
    const [gone, stays] = [await createSession(first, { principal }), await createSession(first, { principal })];
    await second.deleteSession(gone);
    equal(await idsOf(first, { principal }), [stays]);
    await first.deleteSession(stays);
    equal(await idsOf(second, { principal }), []);
  },

  async 'a session stays in the list when its record changes'({ first, second }) {
    const principal = randomUUID();
    const id = await createSession(first, { principal });
    await second.patchSession?.(id, { subscribe: 'file:///x', logLevel: 'info' });
    await second.patchSession?.(id, { unsubscribe: 'file:///x' });
    await second.updateSessionActivity(id);
    equal(await idsOf(first, { principal }), [id]);
  },

  async 'principals with unusual names are kept apart'({ first, second }) {
    const run = randomUUID();
    const principals = ['["https://issuer","üser"]', '{a}', 'a', ' ', '*', "'", '%', '日本', 'x'.repeat(1000)].map(
      odd => odd + run
    );
    const ids = new Map<string, string>();
    for (const principal of principals) ids.set(principal, await createSession(first, { principal }));
    for (const [principal, id] of ids) equal(await idsOf(second, { principal }), [id]);
  },

  async 'each of many sessions is listed once'({ first, second }) {
    const principal = randomUUID();
    const ids = await Promise.all(
      Array.from({ length: MANY }, (_, i) => createSession(i % 2 ? first : second, { principal }))
    );
    let listed = await idsOf(first, { principal });
    // A slow index may lack sessions for a moment.
    for (let tries = 0; tries < 50 && listed.length < MANY; tries++) {
      await pause(100);
      listed = await idsOf(first, { principal });
    }
    equal(listed, ids.toSorted());
  }
};

const expiryCases: PairCases = {
  async 'expired sessions are not listed, and all others are'({ first, second, elapse }) {
    const principal = randomUUID();
    const idle = await createSession(first, { principal });
    const used = await createSession(first, { principal });
    equal(await idsOf(second, { principal }), [idle, used].toSorted());
    let known = (await second.touchSession?.(used)) ?? undefined;
    // More than twice the time to live, so that data stored separately from the session has expired as well.
    for (let step = 0; step < 7; step++) {
      await elapse((SHORT_TTL_SECONDS * 1000) / 3);
      if (second.touchSession) known = (await second.touchSession(used, known)) ?? undefined;
      else await second.updateSessionActivity(used);
    }
    equal(await idsOf(first, { principal }), [used]);
    await elapse(SHORT_TTL_SECONDS * 1000 + 100);
    equal(await idsOf(first, { principal }), []);
  }
};

/** Tests how a session store lists the sessions of principals. */
export function principalContract(options: StoreContractOptions): void {
  runContract('principals', options, [
    { cases, make: pairs(options) },
    { cases: expiryCases, make: pairs(options, SHORT_TTL_SECONDS) }
  ]);
}

async function idsOf(store: SessionStore, filter?: SessionFilter): Promise<string[]> {
  const ids: string[] = [];
  for await (const batch of having(store, 'listSessionIds').listSessionIds(filter)) ids.push(...batch);
  return ids.sort();
}
