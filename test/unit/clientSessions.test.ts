import { createHash, randomBytes } from 'node:crypto';
import {
  ClientSessionNotFoundError,
  createClientSessions,
  encryptSessionStore,
  InMemorySessionStore,
  InvalidOptionError,
  SessionExistsError,
  SessionRecordUnreadableError,
  SessionStoreUnavailableError,
  type ClientSessionOAuthOptions,
  type ClientSessions,
  type NewClientSession
} from 'mcp-sdk-anypod/server';
import { MapSessionStore } from '../support/stores/mapSessionStore.js';

const serverUrl = 'https://mcp.example.com/mcp';
const callbackUrl = 'https://app.example.com/callback';
const full: Required<NewClientSession> = {
  sessionId: 'a',
  identity: 'alice',
  serverId: 'shop',
  serverName: 'The shop',
  serverUrl,
  callbackUrl,
  transportType: 'sse',
  active: true,
  createdAt: 1,
  headers: { 'x-tenant': 'blue' },
  tokens: { access_token: 't', token_type: 'bearer', refresh_token: 'r' },
  clientInformation: { client_id: 'c', client_secret: 's' },
  codeVerifier: 'v',
  clientId: 'c'
};

describe.each([
  ['in a plain store', (store: InMemorySessionStore) => store],
  ['in an encrypted store', (store: InMemorySessionStore) => encryptSessionStore(store, { keys: [randomBytes(32)] })]
])('client sessions %s', (_, wrap) => {
  const pods = () => {
    const store = wrap(new InMemorySessionStore());
    return [createClientSessions({ store }), createClientSessions({ store })] as const;
  };

  test('are read on every pod as they were created, with defaults for what was left out', async () => {
    const [first, second] = pods();
    expect(await first.createSession(full)).toEqual(full);
    expect(await second.getSession('alice', 'a')).toEqual(full);
    const bare = await first.createSession({ identity: 'alice', serverUrl });
    expect(bare).toEqual({
      sessionId: expect.stringMatching(/^[\w-]{36}$/) as string,
      identity: 'alice',
      serverUrl,
      transportType: 'streamable_http',
      active: false,
      createdAt: expect.any(Number) as number
    });
    expect(await second.getSession('alice', bare.sessionId)).toEqual(bare);
    await expect(second.createSession(full)).rejects.toThrow(SessionExistsError);
  });

  test('are found by their identity alone', async () => {
    const [first, second] = pods();
    await first.createSession(full);
    const mine = await second.createSession({ identity: 'alice', serverUrl, createdAt: 0 });
    const other = await second.createSession({ identity: 'bob', serverUrl });
    expect(await first.getIdentitySessionIds('alice')).toEqual([mine.sessionId, 'a']);
    expect(await first.getIdentitySessionsData('alice')).toEqual([mine, full]);
    expect(await first.getIdentitySessionsData('mallory')).toEqual([]);

    expect(await first.getSession('alice', other.sessionId)).toBeNull();
    await expect(first.updateSession('alice', other.sessionId, { active: true })).rejects.toThrow(
      ClientSessionNotFoundError
    );
    expect(await first.removeSession('alice', other.sessionId)).toBe(false);
    expect(await second.getSession('bob', other.sessionId)).toEqual(other);
  });

  test('are gone on every pod once they are removed', async () => {
    const [first, second] = pods();
    await first.createSession(full);
    expect(await second.removeSession('alice', 'a')).toBe(true);
    expect(await first.getSession('alice', 'a')).toBeNull();
    expect(await first.removeSession('alice', 'a')).toBe(false);
    await expect(first.updateSession('alice', 'a', { active: true })).rejects.toThrow(ClientSessionNotFoundError);
    expect(await first.getIdentitySessionsData('alice')).toEqual([]);
  });

  test('keep what an update leaves out, and lose what it sets to null', async () => {
    const [first, second] = pods();
    await first.createSession(full);
    const tokens = { access_token: 'newer', token_type: 'bearer' };
    const expected = { ...full, active: false, tokens } as Partial<typeof full>;
    delete expected.headers;
    const changes = { active: false, tokens, headers: null, serverName: undefined };
    expect(await second.updateSession('alice', 'a', changes)).toEqual(expected);
    expect(await first.getSession('alice', 'a')).toEqual(expected);
  });

  test('lose no field that two pods change at the same time', async () => {
    const [first, second] = pods();
    await first.createSession({ ...full, headers: {} });
    await Promise.all([
      first.updateSession('alice', 'a', { active: false }),
      second.updateSession('alice', 'a', { tokens: { access_token: 'new', token_type: 'bearer' } }),
      first.updateSession('alice', 'a', { serverName: 'Renamed' }),
      ...Array.from({ length: 20 }, (_, i) =>
        (i % 2 ? first : second).updateSession('alice', 'a', ({ headers }) => ({
          headers: { ...headers, [`h${i}`]: 'x' }
        }))
      )
    ]);
    const session = await second.getSession('alice', 'a');
    expect(session).toMatchObject({ active: false, tokens: { access_token: 'new' }, serverName: 'Renamed' });
    expect(Object.keys(session!.headers!)).toHaveLength(20);
  });
});

describe('client sessions', () => {
  test('live as long as they are used', async () => {
    let now = Date.now();
    const sessions = createClientSessions({ store: new InMemorySessionStore({ ttlSeconds: 10, now: () => now }) });
    for (const sessionId of ['read', 'updated', 'listed']) await sessions.createSession({ ...full, sessionId });
    for (let i = 0; i < 3; i++) {
      now += 6000;
      await sessions.getSession('alice', 'read');
      await sessions.updateSession('alice', 'updated', { active: true });
      await sessions.getIdentitySessionsData('alice');
      // To be asked for by somebody else is no use.
      await sessions.getSession('mallory', 'listed');
    }
    expect(await sessions.getIdentitySessionIds('alice')).toEqual(['read', 'updated']);
  });

  const sessions = createClientSessions({ store: new InMemorySessionStore() });
  const wrong: [string, unknown][] = [
    ['sessionId', 'a b'],
    ['identity', ''],
    ['identity', undefined],
    ['serverId', 5],
    ['serverName', {}],
    ['serverUrl', undefined],
    ['serverUrl', 'ftp://secret'],
    ['serverUrl', 'secret'],
    ['callbackUrl', '/secret'],
    ['transportType', 'secret'],
    ['active', 'secret'],
    ['createdAt', 'secret'],
    ['headers', { a: ['secret'] }],
    ['tokens', { secret: true }],
    ['tokens', 'secret'],
    ['clientInformation', { client_secret: 'secret' }],
    ['codeVerifier', ['secret']],
    ['clientId', { secret: 1 }],
    ['token', 'secret']
  ];

  test.each(wrong)(
    'a session with a wrong %s is refused by its name, and its value not shown (%#)',
    async (field, value) => {
      const given = { ...full, sessionId: undefined, [field]: value } as NewClientSession;
      const created = sessions.createSession(given);
      await expect(created).rejects.toThrow(InvalidOptionError);
      await expect(created).rejects.toThrow(`Invalid option ${field}: `);
      await expect(created).rejects.not.toThrow('secret');
    }
  );

  test.each([
    ['identity', 'mallory'],
    ['sessionId', 'b'],
    ['createdAt', 5],
    ['serverUrl', null],
    ['active', null],
    ['token', null],
    ['tokens', 'secret']
  ])('an update cannot set %s to an invalid value', async (field, value) => {
    const { sessionId } = await sessions.createSession({ ...full, sessionId: undefined });
    const updated = sessions.updateSession('alice', sessionId, { [field]: value });
    await expect(updated).rejects.toThrow(`Invalid option ${field}: `);
    expect(await sessions.getSession('alice', sessionId)).toEqual({ ...full, sessionId });
  });

  test('an empty or missing identity is refused', async () => {
    for (const identity of ['', undefined, null] as string[]) {
      await expect(sessions.getSession(identity, 'a')).rejects.toThrow('identity');
      await expect(sessions.getIdentitySessionsData(identity)).rejects.toThrow('identity');
      await expect(sessions.removeSession(identity, 'a')).rejects.toThrow('identity');
      await expect(sessions.updateSession(identity, 'a', {})).rejects.toThrow('identity');
      await expect(sessions.getSessionByState(identity, 'a.b')).rejects.toThrow('identity');
    }
  });

  test('a store without the methods that client sessions need is refused, and so are options of a wrong type', () => {
    expect(() => createClientSessions({ store: new MapSessionStore() })).toThrow('without getState, putState');
    const store = new InMemorySessionStore();
    expect(() => createClientSessions({ store, storeTimeoutMs: 0 })).toThrow('storeTimeoutMs');
    expect(() => createClientSessions({ store, sessionIdGenerator: 'x' as never })).toThrow('sessionIdGenerator');
    expect(() => createClientSessions(undefined as never)).toThrow('options');
  });

  test('a store that fails or is late is an outage, not a missing session', async () => {
    const store = new InMemorySessionStore();
    const brittle = createClientSessions({ store, storeTimeoutMs: 20 });
    await brittle.createSession(full);
    store.getState = () => Promise.reject(new Error('away'));
    await expect(brittle.getSession('alice', 'a')).rejects.toThrow(SessionStoreUnavailableError);
    store.getState = () => new Promise(() => {});
    await expect(brittle.updateSession('alice', 'a', {})).rejects.toThrow('did not answer within 20 ms');
    await expect(brittle.getIdentitySessionsData('alice')).rejects.toThrow(SessionStoreUnavailableError);
  });

  test('a record that is not a client session is unreadable and not shown', async () => {
    const store = new InMemorySessionStore();
    const mixed = createClientSessions({ store });
    await mixed.createSession(full);
    for (const text of ['secret', '{"v":2,"session":{},"oauth":{}}', '"secret"', '{"v":1}']) {
      await store.putState('a', text);
      const read = mixed.getSession('alice', 'a');
      await expect(read).rejects.toThrow(SessionRecordUnreadableError);
      await expect(read).rejects.not.toThrow('secret');
    }
    expect(await store.sessionExists('a')).toBe(true);
  });

  test('a session that was written only in part does not exist', async () => {
    const store = new InMemorySessionStore();
    const halves = createClientSessions({ store });
    const putState = store.putState.bind(store);
    store.putState = () => Promise.reject(new Error('full'));
    await expect(halves.createSession(full)).rejects.toThrow(SessionStoreUnavailableError);
    store.putState = putState;
    expect(await store.sessionExists('a')).toBe(false);
    expect(await halves.getIdentitySessionsData('alice')).toEqual([]);
  });

  test('an OAuth provider needs a session with a callback, and options of the right type', async () => {
    const redirectToAuthorization = () => {};
    const { sessionId } = await sessions.createSession({ identity: 'alice', serverUrl });
    const provider = (options: object, id = sessionId, identity = 'alice') =>
      sessions.oauthProvider(identity, id, options as ClientSessionOAuthOptions);
    await expect(provider({ redirectToAuthorization })).rejects.toThrow('Invalid option callbackUrl');
    await sessions.updateSession('alice', sessionId, { callbackUrl });
    await expect(provider({})).rejects.toThrow('Invalid option redirectToAuthorization');
    await expect(provider({ redirectToAuthorization, callbackState: 5 })).rejects.toThrow('callbackState');
    await expect(provider({ redirectToAuthorization, clientMetadata: 5 })).rejects.toThrow('clientMetadata');
    await expect(provider({ redirectToAuthorization }, 'unknown')).rejects.toThrow(ClientSessionNotFoundError);
    await expect(provider({ redirectToAuthorization }, sessionId, 'bob')).rejects.toThrow(ClientSessionNotFoundError);
    expect((await provider({ redirectToAuthorization })).redirectUrl).toBe(callbackUrl);
  });

  describe('an update', () => {
    let sessions: ClientSessions;
    beforeEach(() => void (sessions = createClientSessions({ store: new InMemorySessionStore() })));
    const old = { ...full, clientInformation: { client_id: 'c', client_secret: 's' } };
    const begin = async () => {
      await sessions.createSession(old);
      const redirected: URL[] = [];
      const options = { redirectToAuthorization: (url: URL) => void redirected.push(url) };
      const provider = await sessions.oauthProvider('alice', 'a', options);
      await provider.saveDiscoveryState?.({ authorizationServerUrl: 'https://old.example.com' });
      return { provider, again: () => sessions.oauthProvider('alice', 'a', options) };
    };

    test('with another serverUrl removes everything that belonged to the old server', async () => {
      const { again } = await begin();
      const session = await sessions.updateSession('alice', 'a', { serverUrl: 'https://other.example.com/mcp' });
      for (const field of ['tokens', 'headers', 'clientInformation', 'clientId', 'codeVerifier']) {
        expect(session).not.toHaveProperty(field);
      }
      const provider = await again();
      expect(await provider.tokens()).toBeUndefined();
      expect(await provider.clientInformation()).toBeUndefined();
      expect(await provider.discoveryState?.()).toBeUndefined();
    });

    test('with another serverUrl keeps what it sets itself', async () => {
      await begin();
      const changes = {
        serverUrl: 'https://other.example.com/mcp',
        tokens: { access_token: 'new', token_type: 'bearer' },
        headers: { 'x-new': '1' }
      };
      expect(await sessions.updateSession('alice', 'a', changes)).toMatchObject(changes);
    });

    test('with the same serverUrl written in another way keeps the tokens', async () => {
      await begin();
      const session = await sessions.updateSession('alice', 'a', { serverUrl: 'https://MCP.example.com:443/mcp' });
      expect(session.tokens).toEqual(full.tokens);
    });

    test('with another serverUrl ends an OAuth provider that was made for the old server', async () => {
      const { provider } = await begin();
      await sessions.updateSession('alice', 'a', {
        serverUrl: 'https://other.example.com/mcp',
        tokens: { access_token: 'new', token_type: 'bearer' }
      });
      await expect(provider.tokens()).rejects.toThrow(ClientSessionNotFoundError);
      const late = provider.saveTokens({ access_token: 'late, of the old server', token_type: 'bearer' });
      await expect(late).rejects.toThrow(ClientSessionNotFoundError);
      expect((await sessions.getSession('alice', 'a'))?.tokens?.access_token).toBe('new');
    });

    test.each([
      ['clientId', { clientId: 'other' }, { clientId: 'other' }],
      ['clientInformation', { clientInformation: { client_id: 'other' } }, { clientId: 'other' }],
      ['clientId of null', { clientId: null, clientInformation: null }, {}]
    ])('with another %s removes the tokens and the verifier of the old client', async (_, changes, expected) => {
      await begin();
      const session = await sessions.updateSession('alice', 'a', changes);
      expect(session).not.toHaveProperty('tokens');
      expect(session).not.toHaveProperty('codeVerifier');
      expect({ clientId: session.clientId }).toEqual({ clientId: undefined, ...expected });
      expect(session.clientInformation?.client_secret).toBeUndefined();
      expect(session.headers).toEqual(full.headers);
    });

    test('with a clientId that is not the one in its clientInformation is refused', async () => {
      await begin();
      const changes = { clientId: 'one', clientInformation: { client_id: 'two' } };
      await expect(sessions.updateSession('alice', 'a', changes)).rejects.toThrow('Invalid option clientId');
    });
  });

  test.each(['javascript:alert(1)', 'JavaScript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///x', '/relative'])(
    'a callbackUrl that no user may be sent to is refused: %s',
    async url => {
      const created = sessions.createSession({ identity: 'alice', serverUrl, callbackUrl: url });
      await expect(created).rejects.toThrow('Invalid option callbackUrl');
    }
  );

  test.each<Record<string, string>>([
    { a: 'x\r\nb: y' },
    { a: 'x\ny' },
    { a: '\u0000' },
    { 'a\r\nb': 'x' },
    { 'a b': 'x' },
    { '': 'x' },
    { a: '日' }
  ])('headers that no request can carry are refused: %j', async headers => {
    const created = sessions.createSession({ identity: 'alice', serverUrl, headers });
    await expect(created).rejects.toThrow('Invalid option headers');
  });

  describe('version 2 of the SDK', () => {
    let sessions: ClientSessions;
    beforeEach(() => void (sessions = createClientSessions({ store: new InMemorySessionStore() })));
    const token = (access_token: string) => ({
      access_token,
      token_type: 'bearer',
      refresh_token: `${access_token} r`
    });
    const withIssuer = { ...token('old'), issuer: 'https://auth.example.com' };
    const redirectToAuthorization = () => {};

    async function twoPods() {
      await sessions.createSession({ ...full, tokens: token('old') });
      return [
        await sessions.oauthProvider('alice', 'a', { redirectToAuthorization }),
        await sessions.oauthProvider('alice', 'a', { redirectToAuthorization })
      ] as const;
    }

    test('writes the issuer into the tokens that it has read, and ends no authorization under way', async () => {
      const [first, second] = await twoPods();
      await second.saveCodeVerifier('v');
      const state = await second.state!();
      const challenge = createHash('sha256').update('v').digest('base64url');
      const query = new URLSearchParams({ state, code_challenge: challenge, client_id: 'c' });
      await second.redirectToAuthorization(new URL(`https://auth.example.com/authorize?${query}`));
      await first.tokens();
      await first.saveTokens(withIssuer);
      expect((await sessions.getSession('alice', 'a'))?.tokens).toEqual(withIssuer);
      expect(await sessions.getSessionByState('alice', state)).not.toBeNull();
    });

    test('does not replace tokens by older ones when it writes the issuer into them', async () => {
      const [first] = await twoPods();
      await first.tokens();
      await sessions.updateSession('alice', 'a', { tokens: token('new') });
      await first.saveTokens(withIssuer);
      expect((await sessions.getSession('alice', 'a'))?.tokens).toEqual(token('new'));
    });

    test.each<[string, string | undefined]>([
      ['removes the tokens of a client that the authorization server does not know', undefined],
      ['keeps the tokens of the client that another pod has registered meanwhile', 'new']
    ])('%s', async (_, registered) => {
      const [first] = await twoPods();
      await first.addClientAuthentication!(
        new Headers(),
        new URLSearchParams({ grant_type: 'authorization_code' }),
        ''
      );
      if (registered) {
        await sessions.updateSession('alice', 'a', {
          clientInformation: { client_id: registered },
          tokens: token(registered)
        });
      }
      // As auth() does after invalid_client; version 1 calls it once, with 'all'.
      await first.invalidateCredentials!('client');
      await first.invalidateCredentials!('tokens');
      const session = await sessions.getSession('alice', 'a');
      expect([session?.clientId, session?.tokens?.access_token]).toEqual([registered, registered]);
    });
  });

  test('tokens and client information come back whole, with fields that no schema names', async () => {
    await sessions.createSession({ sessionId: 'whole', identity: 'alice', serverUrl, callbackUrl });
    const provider = await sessions.oauthProvider('alice', 'whole', { redirectToAuthorization: () => {} });
    const issuer = 'https://auth.example.com';
    const client = { client_id: 'c', issuer, extra: { deep: [1] } };
    const tokens = { access_token: 't', token_type: 'bearer', refresh_token: 'r', issuer, extra: { deep: [1] } };
    await provider.saveClientInformation?.(client);
    await provider.saveTokens(tokens);
    const elsewhere = await sessions.oauthProvider('alice', 'whole', { redirectToAuthorization: () => {} });
    expect(await elsewhere.tokens()).toEqual(tokens);
    expect(await elsewhere.clientInformation()).toEqual(client);
  });
});
