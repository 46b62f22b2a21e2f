import { randomUUID } from 'node:crypto';
import type { SessionData } from '../ports/sessionStore.js';
import { equal, isTrue } from './assert.js';
import type { Cases } from './contract.js';
import { Fuzz, FUZZ_SEED, oddMetadata, oddTexts, oneMebibyte, record } from './samples.js';
import { type StorePair, touch, withoutTimes } from './storePair.js';

type SessionCases = Cases<StorePair>;

export const patchingCases = {
  async 'a patch changes only a session that exists'({ first }) {
    const sessionId = randomUUID();
    equal(await first.patchSession!(sessionId, { initialized: true, subscribe: 'a' }), false, 'the patch of nothing');
    equal(await first.sessionExists(sessionId), false, 'sessionExists afterwards');
  },

  async 'after a patch by one instance, the other returns the new record'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    const known = (await touch(first, data.sessionId))!;
    await second.patchSession!(data.sessionId, { logLevel: 'error' });
    const changed = (await touch(first, data.sessionId, known))!;
    isTrue(changed !== known, 'another object than the one that was known');
    equal(changed.metadata?.mcp?.logLevel, 'error', 'the log level of the patch');
    if (first.touchSession) isTrue((await touch(first, data.sessionId, changed)) === changed, 'known from then on');
  },

  async 'a patch changes the fields that it names, and no others'({ first, second }) {
    const data = record({ metadata: oddMetadata() });
    const { sessionId } = data;
    const mcp = async () => (await second.getSession(sessionId))?.metadata?.mcp;
    await first.storeSession(sessionId, data);
    await first.patchSession!(sessionId, { initialized: true });
    await first.patchSession!(sessionId, { logLevel: 'debug', protocolVersion: '2025-03-26' });
    for (const uri of ['b', 'a', 'b']) await second.patchSession!(sessionId, { subscribe: uri });
    equal((await mcp())?.subscriptions?.toSorted(), ['a', 'b', 'file:///ü%20{x}'], 'the subscriptions');
    await first.patchSession!(sessionId, { unsubscribe: 'b' });
    await first.patchSession!(sessionId, { unsubscribe: 'never subscribed' });
    equal((await mcp())?.subscriptions?.toSorted(), ['a', 'file:///ü%20{x}'], 'the subscriptions that are left');

    const subscriptions = (await mcp())?.subscriptions;
    const changed = { ...data.metadata?.mcp, logLevel: 'debug', protocolVersion: '2025-03-26', subscriptions };
    const expected = { ...data, initialized: true, metadata: { ...data.metadata, mcp: changed } };
    equal(withoutTimes(await second.getSession(sessionId)), withoutTimes(expected as SessionData), 'the whole record');
  },

  async 'subscriptions to unusual URIs are kept apart'({ first, second }) {
    const fuzz = new Fuzz(FUZZ_SEED);
    const uris = [...new Set([...oddTexts(), ...Array.from({ length: 40 }, () => fuzz.text())])];
    const data = record({ metadata: { mcp: { subscriptions: uris.slice(0, 20) } } });
    await first.storeSession(data.sessionId, data);
    for (const uri of uris.slice(20)) await first.patchSession!(data.sessionId, { subscribe: uri });
    const kept = async () => (await second.getSession(data.sessionId))?.metadata?.mcp?.subscriptions?.toSorted();
    equal(await kept(), uris.toSorted(), 'the subscriptions');
    const [leave, stay] = [uris.filter((_, index) => index % 2), uris.filter((_, index) => index % 2 === 0)];
    for (const uri of leave) await second.patchSession!(data.sessionId, { unsubscribe: uri });
    equal(await kept(), stay.toSorted(), 'the subscriptions that are left');
  },

  async 'a subscription to a URI of 1 MiB is stored'({ first, second }) {
    const data = record();
    const uri = `data:,${oneMebibyte()}`;
    await first.storeSession(data.sessionId, data);
    await first.patchSession!(data.sessionId, { subscribe: uri });
    equal((await second.getSession(data.sessionId))?.metadata?.mcp?.subscriptions, [uri], 'the subscription');
    await second.patchSession!(data.sessionId, { unsubscribe: uri });
    equal((await first.getSession(data.sessionId))?.metadata?.mcp?.subscriptions ?? [], [], 'the subscriptions left');
  },

  async 'two instances that change a session at the same time lose no change'({ first, second }) {
    const data = record();
    const { sessionId } = data;
    await first.storeSession(sessionId, data);
    const uris = Array.from({ length: 40 }, (_, i) => `test://${i}`);
    await Promise.all([
      ...uris.map((uri, i) => (i % 2 ? first : second).patchSession!(sessionId, { subscribe: uri })),
      first.patchSession!(sessionId, { initialized: true }),
      second.patchSession!(sessionId, { logLevel: 'alert' }),
      first.patchSession!(sessionId, { protocolVersion: '2025-06-18' }),
      second.updateSessionActivity(sessionId)
    ]);
    const { initialized, metadata } = (await second.getSession(sessionId))!;
    const { logLevel, protocolVersion, subscriptions } = metadata?.mcp ?? {};
    equal([initialized, logLevel, protocolVersion], [true, 'alert', '2025-06-18'], 'the fields that were patched');
    equal(subscriptions?.toSorted(), uris.toSorted(), 'the subscriptions');
  }
} satisfies SessionCases;
