import { randomUUID } from 'node:crypto';
import type { SessionStore } from '../ports/sessionStore.js';
import { equal, eventually } from './assert.js';
import type { Cases } from './contract.js';
import { record } from './samples.js';
import type { StorePair } from './storePair.js';

type SessionCases = Cases<StorePair>;

export const listingCases = {
  async 'each existing session is listed once'({ first, second }) {
    const [stays, goes] = [record(), record()];
    for (const { sessionId } of [stays, goes]) await first.storeSession(sessionId, record({ sessionId }));
    const listed = async () => {
      const ids = await idsOf(second);
      equal(ids.length, new Set(ids).size, 'each id once');
      return [stays, goes].map(({ sessionId }) => ids.includes(sessionId)).join();
    };
    await eventually(async () => (await listed()) === 'true,true', 'both are listed');
    await second.deleteSession(goes.sessionId);
    await eventually(async () => (await listed()) === 'true,false', 'the one that is left is listed');
  },

  async 'the sessions that are subscribed to a resource are listed, after each change'({ first, second }) {
    const uri = `file:///${randomUUID()} "ü"/__proto__`;
    const [from, later] = [record({ metadata: { mcp: { subscriptions: [uri] } } }), record()];
    for (const data of [from, later]) await first.storeSession(data.sessionId, data);
    const listed = async () => (await idsOf(second, uri)).sort().join();
    await eventually(async () => (await listed()) === from.sessionId, 'the one that began subscribed');
    if (first.patchSession) {
      const both = [from.sessionId, later.sessionId].sort().join();
      await first.patchSession(later.sessionId, { subscribe: uri });
      await eventually(async () => (await listed()) === both, 'and the one that subscribed');
      await second.patchSession?.(from.sessionId, { unsubscribe: uri });
      await eventually(async () => (await listed()) === later.sessionId, 'and not the one that unsubscribed');
    }
    for (const data of [from, later]) await second.deleteSession(data.sessionId);
    await eventually(async () => (await listed()) === '', 'none that was deleted');
    equal(await idsOf(second, `${uri}/`), [], 'the sessions subscribed to another resource');
  },

  async 'after a subscription and its end at the same time, the list agrees with the record'({ first, second }) {
    if (!first.patchSession) return;
    for (let i = 0; i < 20; i++) {
      const uri = `file:///${randomUUID()}`;
      const data = record();
      const { sessionId } = data;
      await first.storeSession(sessionId, data);
      const patches = [{ subscribe: uri }, { unsubscribe: uri }];
      if (i % 2 === 1) patches.reverse();
      await Promise.all(patches.map(patch => first.patchSession!(sessionId, patch)));
      const kept = (await second.getSession(sessionId))?.metadata?.mcp?.subscriptions ?? [];
      equal((await idsOf(second, uri)).length, kept.length, 'the sessions subscribed to the resource');
    }
  }
} satisfies SessionCases;

async function idsOf(store: SessionStore, subscribedTo?: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const batch of store.listSessionIds!(subscribedTo === undefined ? {} : { subscribedTo }))
    ids.push(...batch);
  return ids;
}
