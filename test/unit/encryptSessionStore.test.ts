import { randomBytes } from 'node:crypto';
import {
  encryptSessionStore,
  InMemorySessionStore,
  InvalidOptionError,
  SessionRecordUnreadableError,
  type EncryptionKey,
  type SessionData,
  type SessionStore
} from 'mcp-sdk-anypod/server';
import { sessionStoreContract } from 'mcp-sdk-anypod/testing';
import { fromBase64 } from '../../src/encryption/base64.js';
import { MapSessionStore } from '../support/stores/mapSessionStore.js';

const key = randomBytes(32);
const otherKey = randomBytes(32).toString('base64');

describe.each([
  ['one key', { keys: [key] }, { keys: [key] }],
  ['two pods in the middle of a rotation', { keys: [key, otherKey] }, { keys: [otherKey, key] }],
  ['one of two pods not sealing yet', { keys: [key] }, { keys: [key], writePlaintext: true }]
])('with %s', (name, first, second) => {
  sessionStoreContract({
    describe,
    it,
    name: `InMemorySessionStore, encrypted with ${name}`,
    optionalMethods: ['touchSession', 'getSessionOwner', 'patchSession', 'listSessionIds'],
    makeTwo: async ({ ttlSeconds }) => {
      let ahead = 0;
      const store = new InMemorySessionStore({ ttlSeconds, now: () => Date.now() + ahead });
      return {
        first: encryptSessionStore(store, first),
        second: encryptSessionStore(store, second),
        elapse: async ms => void (ahead += ms)
      };
    }
  });
});

describe('an encrypted store', () => {
  const principal = '["https://issuer","alice"]';

  test('shows the backend nothing of what it keeps', async () => {
    const records = new Map<string, string>();
    const store = encryptSessionStore(new MapSessionStore(records), { keys: [key] });
    await store.storeSession('a', session('a', { app: 'secret-1' }));
    const raw = [...records.values()].join();
    for (const plain of ['secret', 'alice', 'issuer', 'file:', '2025', 'metadata":{"app']) {
      expect(raw).not.toContain(plain);
    }
    expect(await store.getSession('a')).toEqual(session('a', { app: 'secret-1' }));
  });

  test('has the optional methods that the inner store has, and no other', () => {
    const methods = (store: SessionStore): string[] => Object.keys(encryptSessionStore(store, { keys: [key] })).sort();
    const five = ['deleteSession', 'getSession', 'sessionExists', 'storeSession', 'updateSessionActivity'];
    expect(methods(new MapSessionStore())).toEqual(five);
    expect(methods(new InMemorySessionStore())).toEqual(
      [
        ...five,
        'touchSession',
        'getSessionOwner',
        'patchSession',
        'listSessionIds',
        'getState',
        'putState',
        'acquireLock',
        'renewLock',
        'releaseLock',
        'createBus',
        'ttlSeconds'
      ].sort()
    );
  });

  test('passes locks, bus, time to live and close on to the inner store', async () => {
    const calls: unknown[][] = [];
    const note =
      (name: string, result?: unknown) =>
      (...args: unknown[]) => {
        calls.push([name, ...args]);
        return result;
      };
    const inner = Object.assign(new InMemorySessionStore({ ttlSeconds: 7 }), {
      acquireLock: note('acquireLock', Promise.resolve(true)),
      renewLock: note('renewLock', Promise.resolve(false)),
      releaseLock: note('releaseLock', Promise.resolve()),
      close: note('close', Promise.resolve())
    }) as unknown as SessionStore;
    const store = encryptSessionStore(inner, { keys: [key] });
    expect(await store.acquireLock!('a', 't', 5)).toBe(true);
    expect(await store.renewLock!('a', 't', 5)).toBe(false);
    await store.releaseLock!('a', 't');
    await store.close!();
    expect(calls).toEqual([
      ['acquireLock', 'a', 't', 5],
      ['renewLock', 'a', 't', 5],
      ['releaseLock', 'a', 't'],
      ['close']
    ]);
    expect([store.ttlSeconds, store.createBus!()]).toEqual([7, inner.createBus!()]);
  });

  test('never passes a plain record to the inner store', async () => {
    const shown: unknown[] = [];
    class Watched extends InMemorySessionStore {
      override async touchSession(sessionId: string, known?: SessionData): Promise<SessionData | null> {
        shown.push(known);
        return super.touchSession(sessionId, known);
      }
    }
    const store = encryptSessionStore(new Watched(), { keys: [key] });
    await store.storeSession('a', session('a'));
    const known = (await store.touchSession!('a', session('a')))!;
    // What the engine makes of a record that it holds is another object.
    await store.touchSession!('a', { ...known });
    expect(await store.touchSession!('a', known)).toBe(known);
    expect(shown[0]).toBeUndefined();
    expect(shown[1]).toBeUndefined();
    expect(JSON.stringify(shown[2])).not.toContain('alice');
  });

  test('reads, finds and removes records that were encrypted before a rotation', async () => {
    const inner = new InMemorySessionStore();
    const before = encryptSessionStore(inner, { keys: [key] });
    const during = encryptSessionStore(inner, { keys: [otherKey, key] });
    const after = encryptSessionStore(inner, { keys: [otherKey] });
    await before.storeSession('a', session('a'));
    await before.putState!('a', 'state');
    await during.storeSession('b', session('b'));
    expect(await during.getState!('a')).toEqual({ value: 'state', version: 1 });
    for (const filter of [{ subscribedTo: 'file:///a' }, { principal }]) {
      expect((await idsIn(during.listSessionIds!(filter))).sort()).toEqual(['a', 'b']);
      expect(await idsIn(after.listSessionIds!(filter))).toEqual(['b']);
    }
    await during.patchSession!('a', { subscribe: 'file:///a' });
    expect((await during.getSession('a'))?.metadata?.mcp?.subscriptions).toEqual(['file:///a']);
    await during.patchSession!('a', { unsubscribe: 'file:///a' });
    expect((await during.getSession('a'))?.metadata?.mcp?.subscriptions).toEqual([]);
    expect(await idsIn(during.listSessionIds!({ subscribedTo: 'file:///a' }))).toEqual(['b']);
    await expect(after.getSession('a')).rejects.toThrow(SessionRecordUnreadableError);
    await expect(after.getState!('a')).rejects.toThrow(SessionRecordUnreadableError);
    expect(await after.sessionExists('a')).toBe(true);
    expect(await after.getSession('b')).toMatchObject(session('b'));
  });

  test('reads what a key has encrypted before it was given an id', async () => {
    const inner = new MapSessionStore();
    await encryptSessionStore(inner, { keys: [key] }).storeSession('a', session('a'));
    const named = encryptSessionStore(inner, { keys: [{ id: 'k1', key: key.toString('base64url') }] });
    expect(await named.getSession('a')).toEqual(session('a'));
  });

  test('refuses a record that was changed, moved to another session or moved to another field', async () => {
    const records = new Map<string, string>();
    const store = encryptSessionStore(new MapSessionStore(records), { keys: [key] });
    await store.storeSession('a', session('a'));
    const text = records.get('a')!;
    const sealed = JSON.parse(text) as SessionData;
    const mcp = sealed.metadata!.mcp!;
    const blob = sealed.metadata!.anypodSealed as string;
    const wrong = (metadata: object): string =>
      JSON.stringify({ ...sealed, metadata: { ...sealed.metadata, ...metadata } });
    for (const [sessionId, tampered] of [
      ['b', text.replace('"sessionId":"a"', '"sessionId":"b"')],
      ['a', wrong({ anypodSealed: flipped(blob, -1) })],
      ['a', wrong({ anypodSealed: flipped(blob, 20) })],
      ['a', wrong({ anypodSealed: blob.slice(0, 30) })],
      ['a', wrong({ anypodSealed: '{}' })],
      ['a', wrong({ anypodSealed: mcp.logLevel })],
      ['a', wrong({ mcp: { ...mcp, logLevel: mcp.protocolVersion } })],
      ['a', wrong({ mcp: { ...mcp, subscriptions: [mcp.principal] } })],
      ['a', wrong({ mcp: { ...mcp, subscriptions: [blob] } })],
      ['a', text.replace(/sealed:v1:[\w-]+:/, 'sealed:v1:unknown:')]
    ] as const) {
      records.set(sessionId, tampered);
      await expect(store.getSession(sessionId)).rejects.toThrow(SessionRecordUnreadableError);
      expect(records.get(sessionId)).toBe(tampered);
    }
  });

  test('gives a session to no other principal if the indexed principal is changed or removed', async () => {
    const records = new Map<string, string>();
    const store = encryptSessionStore(new MapSessionStore(records), { keys: [key] });
    await store.storeSession('a', session('a'));
    const sealed = JSON.parse(records.get('a')!) as SessionData;
    delete sealed.metadata!.mcp!.principal;
    records.set('a', JSON.stringify(sealed));
    expect((await store.getSession('a'))?.metadata?.mcp?.principal).toBe(principal);
  });

  test('reads, finds and changes plain records, and refuses them if readPlaintext is false', async () => {
    const inner = new InMemorySessionStore();
    await inner.storeSession('old', session('old'));
    await inner.putState('old', 'state');
    const store = encryptSessionStore(inner, { keys: [key] });
    expect(await store.getSession('old')).toMatchObject(session('old'));
    expect(await store.getState!('old')).toEqual({ value: 'state', version: 1 });
    for (const filter of [{ subscribedTo: 'file:///a' }, { principal }]) {
      expect(await idsIn(store.listSessionIds!(filter))).toEqual(['old']);
    }
    await store.patchSession!('old', { subscribe: 'file:///b', logLevel: 'error' });
    await store.patchSession!('old', { unsubscribe: 'file:///a' });
    await store.putState!('old', 'new', 1);
    expect((await store.getSession('old'))?.metadata?.mcp).toMatchObject({
      subscriptions: ['file:///b'],
      logLevel: 'error'
    });
    expect((await inner.getState('old'))?.value).toMatch(/^sealed:v1:/);

    const strict = encryptSessionStore(inner, { keys: [key], readPlaintext: false });
    await expect(strict.getSession('old')).rejects.toThrow(SessionRecordUnreadableError);
    await expect(strict.touchSession!('old')).rejects.toThrow(SessionRecordUnreadableError);
    await inner.putState('old', 'in clear');
    await expect(strict.getState!('old')).rejects.toThrow('It is not encrypted');
    await inner.storeSession('bare', { ...session('bare'), metadata: undefined });
    await expect(strict.getSession('bare')).rejects.toThrow(SessionRecordUnreadableError);
  });

  test('decrypts and writes plain records while writePlaintext is true', async () => {
    const inner = new InMemorySessionStore();
    const sealing = encryptSessionStore(inner, { keys: [key] });
    const plain = encryptSessionStore(inner, { keys: [key], writePlaintext: true });
    await sealing.storeSession('a', session('a'));
    await plain.storeSession('b', session('b'));
    expect(await plain.getSession('a')).toMatchObject(session('a'));
    expect(await inner.getSession('b')).toMatchObject(session('b'));
    expect((await idsIn(plain.listSessionIds!({ principal }))).sort()).toEqual(['a', 'b']);
    await plain.patchSession!('a', { unsubscribe: 'file:///a' });
    expect((await sealing.getSession('a'))?.metadata?.mcp?.subscriptions).toEqual([]);
  });

  async function idsIn(batches: AsyncIterable<string[]>): Promise<string[]> {
    const all: string[] = [];
    for await (const ids of batches) all.push(...ids);
    return all;
  }

  function session(sessionId: string, more: Record<string, unknown> = {}): SessionData {
    const mcp = { protocolVersion: '2025-11-25', principal, logLevel: 'info' as const, subscriptions: ['file:///a'] };
    return { sessionId, initialized: true, createdAt: 1, lastActivity: 2, metadata: { ...more, mcp } };
  }
});

describe('the keys', () => {
  const secret = 'c2VjcmV0LXNlY3JldC1zZWNyZXQ';
  const cases: [string, unknown][] = [
    ['keys', undefined],
    ['keys', secret],
    ['keys', []],
    ['keys[0]', [secret]],
    ['keys[0]', ['secret, and no base64']],
    ['keys[0]', [new Uint8Array(31)]],
    ['keys[0]', [5]],
    ['keys[1]', [key, Buffer.from(secret)]],
    ['keys[0].id', [{ key }]],
    ['keys[0].id', [{ id: 'a:b', key }]],
    ['keys[0].key', [{ id: 'a', key: secret }]],
    [
      'keys',
      [
        { id: 'a', key },
        { id: 'a', key: otherKey }
      ]
    ]
  ];

  it.each(cases)('%s is refused by name, and its value is not shown (%#)', (option, keys) => {
    const construct = (): unknown =>
      encryptSessionStore(new InMemorySessionStore(), { keys: keys as readonly EncryptionKey[] });
    expect(construct).toThrow(InvalidOptionError);
    expect(construct).toThrow(`Invalid option ${option}: `);
    expect(construct).not.toThrow(/secret|c2VjcmV0|115,101/);
  });

  it('refuse other options of a wrong type', () => {
    const store = new InMemorySessionStore();
    expect(() => encryptSessionStore({} as never, { keys: [key] })).toThrow('Invalid option store');
    expect(() => encryptSessionStore(store, undefined as never)).toThrow('Invalid option options');
    expect(() => encryptSessionStore(store, { keys: [key], readPlaintext: 1 as never })).toThrow('readPlaintext');
    expect(() => encryptSessionStore(store, { keys: [key], writePlaintext: 'no' as never })).toThrow('writePlaintext');
  });

  it('may be given as bytes or in either base64, with the same result', async () => {
    const inner = new MapSessionStore();
    const data = { sessionId: 'a', initialized: false, createdAt: 1, lastActivity: 1 };
    const forms = [key, new Uint8Array(key), key.toString('base64'), key.toString('base64url')];
    await encryptSessionStore(inner, { keys: [key] }).storeSession('a', data);
    for (const form of forms) expect(await encryptSessionStore(inner, { keys: [form] }).getSession('a')).toEqual(data);
  });
});

/** With another character in a place of the base64 that carries bits. */
function flipped(text: string, at: number): string {
  const index = (at < 0 ? text.length - 2 : text.lastIndexOf(':') + at) % text.length;
  return text.slice(0, index) + (text[index] === 'A' ? 'B' : 'A') + text.slice(index + 1);
}

test('a missing session costs an encrypted store the same work as one of another principal', async () => {
  const store = encryptSessionStore(new InMemorySessionStore(), { keys: [key] });
  const metadata = { mcp: { protocolVersion: '2025-11-25', principal: 'bob' } };
  const record = { sessionId: 'of-bob', initialized: true, createdAt: 1, lastActivity: 1, metadata };
  await store.storeSession('of-bob', record);
  // The first look at a missing session prepares what the later ones need.
  await store.getSession('missing');
  const decrypt = jest.spyOn(crypto.subtle, 'decrypt');
  const workFor = async (look: () => Promise<unknown>) => {
    decrypt.mockClear();
    await look();
    return decrypt.mock.calls.length;
  };
  try {
    for (const method of ['getSession', 'touchSession'] as const) {
      const ofBob = await workFor(() => store[method]!('of-bob'));
      expect(ofBob).toBeGreaterThan(0);
      expect(await workFor(() => store[method]!('missing'))).toBe(ofBob);
    }
  } finally {
    decrypt.mockRestore();
  }
});

test('base64 is read at a small multiple of the time that atob takes', () => {
  const text = Buffer.alloc(1_000_000, 'anypod').toString('base64');
  const best = (work: () => unknown) =>
    Math.min(
      ...Array.from({ length: 7 }, () => {
        const began = performance.now();
        work();
        return performance.now() - began;
      })
    );
  expect(best(() => fromBase64(text))).toBeLessThan(20 * best(() => atob(text)));
});
