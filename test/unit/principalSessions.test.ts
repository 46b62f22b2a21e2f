import type { AuthInfo } from 'mcp-sdk-upstream/server/auth/types.js';
import {
  createMcpHandler,
  InMemorySessionStore,
  InvalidOptionError,
  McpServer,
  SessionStoreUnavailableError,
  SessionStoreUnsupportedError,
  type McpHandler,
  type SessionStore
} from 'mcp-sdk-anypod/server';
import { createSession } from '../../src/testing/storePair.js';
import { MapSessionStore } from '../support/stores/mapSessionStore.js';

const alice = JSON.stringify(['https://issuer', 'alice']);
const authInfo: AuthInfo = { token: 't', clientId: 'c', scopes: [], extra: { iss: 'https://issuer', sub: 'alice' } };

const errors: string[] = [];
beforeEach(() => void errors.splice(0));
const makeHandler = (sessionStore?: SessionStore) =>
  createMcpHandler(() => new McpServer({ name: 'principals', version: '1' }), {
    sessionStore,
    onerror: error => errors.push(error.name)
  });

async function listOf(handler: McpHandler, principal: string | AuthInfo): Promise<string[]> {
  const sessionIds: string[] = [];
  for await (const sessionId of handler.listSessions(principal)) sessionIds.push(sessionId);
  return sessionIds;
}

describe("a principal's sessions", () => {
  it('are listed and revoked by the name of the principal or by auth info', async () => {
    const store = new InMemorySessionStore();
    const handler = makeHandler(store);
    const ids = [await createSession(store, { principal: alice }), await createSession(store, { principal: alice })];
    const others = [await createSession(store, { principal: 'bob' }), await createSession(store)];
    expect(await listOf(handler, alice)).toEqual(ids);
    expect(await listOf(handler, authInfo)).toEqual(ids);
    expect(await handler.revokeSessions(authInfo)).toBe(2);
    expect(await handler.revokeSessions(alice)).toBe(0);
    expect(await Promise.all([...ids, ...others].map(id => store.sessionExists(id)))).toEqual([
      false,
      false,
      true,
      true
    ]);
  });

  it('are only those whose record names the principal, whatever the store lists', async () => {
    const store = new InMemorySessionStore();
    const mine = await createSession(store, { principal: alice });
    await createSession(store, { principal: 'bob' });
    // As a store that was written before there were principals: it lists all.
    const listSessionIds = store.listSessionIds.bind(store);
    const handler = makeHandler(Object.assign(store, { listSessionIds: () => listSessionIds() }));
    expect(await listOf(handler, alice)).toEqual([mine]);
    expect(await handler.revokeSessions(alice)).toBe(1);
    expect(await listOf(handler, 'bob')).toHaveLength(1);
  });

  it('are revoked as far as the store permits, and failures are thrown', async () => {
    const store = new InMemorySessionStore();
    const ids: string[] = [];
    while (ids.length < 120) ids.push(await createSession(store, { principal: alice }));
    const deleteSession = store.deleteSession.bind(store);
    const stubborn = Object.assign(store, {
      deleteSession: (id: string) => (id === ids[60] ? Promise.reject(new Error('down')) : deleteSession(id))
    });
    const handler = makeHandler(stubborn);
    await expect(handler.revokeSessions(alice)).rejects.toThrow(SessionStoreUnavailableError);
    expect(errors).toEqual(['SessionStoreUnavailableError']);
    expect(await listOf(handler, alice)).toEqual([ids[60]]);
  });

  it('cannot be listed in memory mode or by a store without an index', async () => {
    for (const handler of [makeHandler(), makeHandler(new MapSessionStore())]) {
      await expect(listOf(handler, alice)).rejects.toThrow(SessionStoreUnsupportedError);
      await expect(handler.revokeSessions(alice)).rejects.toThrow(SessionStoreUnsupportedError);
    }
  });

  it.each([undefined, 7, null, { token: 't', scopes: [] }])(
    'are refused for %j, which is not a principal',
    async principal => {
      const handler = makeHandler(new InMemorySessionStore());
      await expect(handler.revokeSessions(principal as unknown as string)).rejects.toThrow(InvalidOptionError);
    }
  );
});
