import { randomUUID } from 'node:crypto';
import type { SessionStore } from '../ports/sessionStore.js';
import { equal, isTrue } from './assert.js';
import { runContract } from './contract.js';
import {
  createSession,
  having,
  type PairCases,
  pairs,
  SHORT_TTL_SECONDS,
  type StoreContractOptions,
  type StorePair
} from './storePair.js';

type StateStore = SessionStore & Required<Pick<SessionStore, 'getState' | 'putState'>>;

const cases: PairCases = {
  async 'the state of a missing session is null, and writing it creates nothing'(pair) {
    const { first, second } = statesOf(pair);
    const id = randomUUID();
    equal(await first.getState(id), null);
    equal(await first.putState(id, '1'), 'missing');
    equal(await first.putState(id, '1', 0), 'missing');
    equal(await first.putState(id, null), 'missing');
    equal(await second.getState(id), null);
    equal(await second.sessionExists(id), false);
  },

  async 'the other instance reads what was written, with a higher version'(pair) {
    const { first, second } = statesOf(pair);
    const id = await createSession(first);
    equal(await second.getState(id), { value: null, version: 0 });
    let version = 0;
    for (const value of oddTexts) {
      equal(await first.putState(id, value), 'written');
      const read = await second.getState(id);
      equal(read?.value, value);
      isTrue(read!.version > version, 'the version grows');
      version = read!.version;
    }
  },

  async 'a write succeeds only if the version is the expected one'(pair) {
    const { first, second } = statesOf(pair);
    const id = await createSession(first);
    equal(await first.putState(id, '"a"', 1), 'conflict');
    equal(await first.putState(id, '"a"', 0), 'written');
    equal(await second.putState(id, '"b"', 0), 'conflict');
    const { version } = (await second.getState(id))!;
    equal(await second.putState(id, '"b"', version), 'written');
    equal(await first.putState(id, '"c"', version), 'conflict');
    equal((await first.getState(id))?.value, '"b"');
  },

  async 'removing the state is a change like any other'(pair) {
    const { first, second } = statesOf(pair);
    const id = await createSession(first);
    await first.putState(id, '1');
    const { version } = (await first.getState(id))!;
    equal(await second.putState(id, null, version), 'written');
    const removed = (await first.getState(id))!;
    equal(removed.value, null);
    isTrue(removed.version > version, 'a removal makes the version grow');
    equal(await first.putState(id, '2', version), 'conflict');
    equal(await first.putState(id, '2', 0), 'conflict');
    equal(await first.putState(id, '2', removed.version), 'written');
    equal(await first.putState(id, null), 'written');
    equal((await second.getState(id))?.value, null);
  },

  async 'of several writes on the same version at the same time, one succeeds'(pair) {
    const { first, second } = statesOf(pair);
    const id = await createSession(first);
    const writes = Array.from({ length: 20 }, (_, i) => (i % 2 ? first : second).putState(id, String(i), 0));
    const outcomes = await Promise.all(writes);
    equal(outcomes.filter(outcome => outcome === 'written').length, 1);
    equal((await first.getState(id))?.value, String(outcomes.indexOf('written')));
  },

  async 'the states of sessions are kept apart'(pair) {
    const { first, second } = statesOf(pair);
    const run = randomUUID();
    const ids = ['a', '{a}', 'a:record', '__proto__', 'constructor', '%', "'"].map(odd => odd + run);
    for (const sessionId of ids) await createSession(first, { sessionId });
    for (const id of ids) await first.putState(id, JSON.stringify(id));
    for (const id of ids) equal((await second.getState(id))?.value, JSON.stringify(id));
    await second.putState(ids[0]!, null);
    equal((await first.getState(ids[1]!))?.value, JSON.stringify(ids[1]));
  },

  async 'writing the state does not change the record, so pods need not read it again'(pair) {
    const { first, second } = statesOf(pair);
    const id = await createSession(first);
    const before = await first.getSession(id);
    const known = (await first.touchSession?.(id)) ?? undefined;
    await second.putState(id, '{"secret":true}');
    if (first.touchSession) isTrue((await first.touchSession(id, known)) === known, 'the very record that was known');
    const after = await first.getSession(id);
    equal({ ...after, lastActivity: 0 }, { ...before, lastActivity: 0 });
    await second.patchSession?.(id, { logLevel: 'info', subscribe: 'file:///x' });
    equal((await first.getState(id))?.value, '{"secret":true}');
  },

  async 'deleting a session removes its state, and writing the state does not restore it'(pair) {
    const { first, second } = statesOf(pair);
    const id = await createSession(first);
    await first.putState(id, '1');
    await second.deleteSession(id);
    equal(await first.getState(id), null);
    equal(await first.putState(id, '2'), 'missing');
    equal(await first.getState(id), null);
    equal(await first.sessionExists(id), false);
  },

  async 'writing the state during the deletion does not restore the session'(pair) {
    const { first, second } = statesOf(pair);
    const ids = await Promise.all(Array.from({ length: 20 }, () => createSession(first)));
    await Promise.all(
      ids.flatMap(id => [
        second.putState(id, '1'),
        first.deleteSession(id),
        second.putState(id, '2'),
        first.putState(id, null)
      ])
    );
    for (const id of ids) {
      equal(await second.getState(id), null);
      equal(await second.putState(id, '3'), 'missing');
      equal(await first.sessionExists(id), false);
    }
  }
};

const expiryCases: PairCases = {
  async 'the state lives as long as its session, which reading and writing it do not prolong'(pair) {
    const { first, second } = statesOf(pair);
    const [used, idle] = [await createSession(first), await createSession(first)];
    await first.putState(used, '"used"');
    await first.putState(idle, '"idle"');
    for (let step = 0; step < 5; step++) {
      await pair.elapse((SHORT_TTL_SECONDS * 1000) / 3);
      await (second.touchSession ? second.touchSession(used) : second.updateSessionActivity(used));
      await second.getState(idle);
      await second.putState(idle, String(step));
    }
    equal((await first.getState(used))?.value, '"used"');
    equal(await first.getState(idle), null);
    equal(await first.putState(idle, '1'), 'missing');
  },

  async 'a later session with the same id does not get the state'(pair) {
    const { first, second } = statesOf(pair);
    const sessionId = await createSession(first);
    await first.putState(sessionId, '1');
    await pair.elapse(SHORT_TTL_SECONDS * 1000 + 100);
    equal(await first.getState(sessionId), null);
    await createSession(second, { sessionId });
    equal(await first.getState(sessionId), { value: null, version: 0 });
    equal(await first.putState(sessionId, '2', 0), 'written');
  }
};

/** Texts that JSON can represent but wrong encodings lose, and a long one. */
const oddTexts = [
  '""',
  'null',
  '0',
  '{}',
  '[[],{}]',
  '{"a":[],"big":12345678901234567890,"small":1e-300}',
  '"\\u0000\\"\\\\ \\ud83d"',
  '"日本語 🙂 ü"',
  JSON.stringify('x'.repeat(60_000))
];

/** Tests how a session store keeps the application's state. */
export function sessionStateContract(options: StoreContractOptions): void {
  runContract('application state', options, [
    { cases, make: pairs(options) },
    { cases: expiryCases, make: pairs(options, SHORT_TTL_SECONDS) }
  ]);
}

function statesOf(pair: StorePair): { first: StateStore; second: StateStore } {
  return { first: having(pair.first, 'getState', 'putState'), second: having(pair.second, 'getState', 'putState') };
}
