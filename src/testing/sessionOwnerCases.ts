import { randomUUID } from 'node:crypto';
import type { McpSessionState, SessionData, SessionOwner, SessionStore } from '../ports/sessionStore.js';
import { equal } from './assert.js';
import type { Cases } from './contract.js';
import { oddTexts } from './samples.js';
import type { StorePair } from './storePair.js';

/** Cases for stores with `getSessionOwner`. */
export const ownerCases = {
  async 'getSessionOwner returns the principal and the namespace of any record'({ first, second }) {
    const handshake = {
      protocolVersion: '2025-11-25',
      initialize: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } }
    };
    const subscriptions = ['test://a', 'test://ü'];
    const owners: SessionOwner[] = [
      {},
      { principal: 'ada' },
      { namespace: 'shop' },
      { principal: 'x'.repeat(10_000), namespace: 'shop' },
      ...oddTexts().map(principal => ({ principal }))
    ];
    for (const owner of owners) {
      for (const rest of [{}, handshake, { ...handshake, subscriptions, logLevel: 'info' } as const]) {
        const sessionId = await create(first, { ...rest, ...owner });
        await expectOwner(second, sessionId, owner);
        await second.patchSession?.(sessionId, { logLevel: 'debug', subscribe: 'test://b' });
        await expectOwner(first, sessionId, owner);
      }
    }
  },

  async 'getSessionOwner returns an empty owner for a session without metadata'({ first, second }) {
    const sessionId = randomUUID();
    await first.storeSession(sessionId, { sessionId, initialized: false, createdAt: 1, lastActivity: 1 });
    await expectOwner(second, sessionId, {});
  },

  async 'getSessionOwner returns null for a missing and for a deleted session'({ first, second }) {
    equal(await first.getSessionOwner!(randomUUID()), null, 'the owner of a session that never existed');
    const sessionId = await create(first, { principal: 'ada' });
    await first.deleteSession(sessionId);
    for (const store of [first, second]) equal(await store.getSessionOwner!(sessionId), null, 'the owner afterwards');
  }
} satisfies Cases<Pick<StorePair, 'first' | 'second'>>;

async function create(store: SessionStore, mcp: McpSessionState): Promise<string> {
  const sessionId = randomUUID();
  const now = Date.now();
  const data: SessionData = { sessionId, initialized: true, createdAt: now, lastActivity: now, metadata: { mcp } };
  await store.storeSession(sessionId, data);
  return sessionId;
}

async function expectOwner(store: SessionStore, sessionId: string, owner: SessionOwner): Promise<void> {
  const found = await store.getSessionOwner!(sessionId);
  equal([found?.principal, found?.namespace], [owner.principal, owner.namespace], 'the owner');
}
