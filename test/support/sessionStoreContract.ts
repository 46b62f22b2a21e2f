import { randomUUID } from 'node:crypto';
import { SessionExistsError, type SessionData, type SessionStore } from 'mcp-sdk-anypod/server';

/** What the contract runs on. The two stores may be one object where a backend lives in an object. */
export interface TwoInstances {
  readonly first: SessionStore;
  readonly second: SessionStore;
  /** Lets so much time pass for the backend: really, or on its clock. */
  readonly elapse: (ms: number) => Promise<void>;
  close(): Promise<void>;
}

export type MakeTwoInstances = (options: { ttlSeconds: number }) => Promise<TwoInstances>;

type Case = (stores: TwoInstances) => Promise<void>;

/** An hour: nothing expires while a case runs. */
const LONG_TTL_SECONDS = 3600;
const SHORT_TTL_SECONDS = 1;

/** What every session store does, seen through two instances over one backend, as two pods would have them. */
const cases = {
  async 'gives every field back as it was stored'({ first, second }) {
    const data = record({ initialized: true, metadata: oddMetadata() });
    await first.storeSession(data.sessionId, data);
    expect(await asStored(second.getSession(data.sessionId))).toEqual(data);
    expect(await second.sessionExists(data.sessionId)).toBe(true);
  },

  async 'takes a record with the five fields alone, and without metadata'({ first, second }) {
    const bare = record();
    delete bare.metadata;
    const empty = record({ metadata: {} });
    await first.storeSession(bare.sessionId, bare);
    await first.storeSession(empty.sessionId, empty);
    expect(await asStored(second.getSession(bare.sessionId))).toEqual(bare);
    expect(await asStored(second.getSession(empty.sessionId))).toEqual(empty);
  },

  async 'knows missing as a value: null, false, nothing done'({ first }) {
    const sessionId = randomUUID();
    expect(await first.getSession(sessionId)).toBeNull();
    expect(await first.sessionExists(sessionId)).toBe(false);
    await first.updateSessionActivity(sessionId);
    await first.deleteSession(sessionId);
    expect(await first.sessionExists(sessionId)).toBe(false);
  },

  async 'touches and patches only where something is'({ first }) {
    const sessionId = randomUUID();
    expect(await first.touchSession!(sessionId)).toBeNull();
    expect(await first.touchSession!(sessionId, record({ sessionId, revision: 1 }))).toBeNull();
    expect(await first.patchSession!(sessionId, { initialized: true, subscribe: 'a' })).toBe(false);
    expect(await first.sessionExists(sessionId)).toBe(false);
  },

  async 'creates only where nothing is'({ first, second }) {
    const data = record({ metadata: { first: true } });
    await first.storeSession(data.sessionId, data);
    const again = record({ sessionId: data.sessionId, metadata: { second: true } });
    await expect(second.storeSession(data.sessionId, again)).rejects.toThrow(SessionExistsError);
    expect((await first.getSession(data.sessionId))?.metadata).toEqual({ first: true });
  },

  async 'lets one of two creations win'({ first, second }) {
    const sessionId = randomUUID();
    const attempts = [first, second, first, second].map(store => store.storeSession(sessionId, record({ sessionId })));
    const outcomes = (await Promise.allSettled(attempts)).map(outcome => outcome.status).sort();
    expect(outcomes).toEqual(['fulfilled', 'rejected', 'rejected', 'rejected']);
  },

  async 'forgets a deleted session on both sides'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    await second.deleteSession(data.sessionId);
    for (const store of [first, second]) await expectMissing(store, data.sessionId);
  },

  async 'brings nothing deleted back by an activity that comes late'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    await first.deleteSession(data.sessionId);
    await second.updateSessionActivity(data.sessionId);
    await expectMissing(second, data.sessionId);
  },

  async 'brings nothing deleted back by any write that races the deletion'({ first, second }) {
    const sessionIds = Array.from({ length: 20 }, () => randomUUID());
    await Promise.all(sessionIds.map(sessionId => first.storeSession(sessionId, record({ sessionId }))));
    const race = sessionIds.flatMap((sessionId, index) => {
      const writes = [
        () => second.updateSessionActivity(sessionId),
        () => second.patchSession!(sessionId, { subscribe: 'file:///late' }),
        () => first.deleteSession(sessionId),
        () => second.touchSession!(sessionId),
        () => second.storeSession(sessionId, record({ sessionId }))
      ];
      return [...writes.slice(index % 5), ...writes.slice(0, index % 5)].map(write => write());
    });
    await Promise.allSettled(race);
    for (const sessionId of sessionIds) {
      await expect(second.storeSession(sessionId, record({ sessionId }))).rejects.toThrow(SessionExistsError);
      expect(await second.patchSession!(sessionId, { initialized: true })).toBe(false);
      await expectMissing(first, sessionId);
    }
  },

  async 'gives the known record back while it is unchanged, and a new one after a patch elsewhere'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    const known = (await first.touchSession!(data.sessionId))!;
    expect(await first.touchSession!(data.sessionId, known)).toBe(known);
    await second.updateSessionActivity(data.sessionId);
    expect(await first.touchSession!(data.sessionId, known)).toBe(known);

    await second.patchSession!(data.sessionId, { logLevel: 'error' });
    const changed = (await first.touchSession!(data.sessionId, known))!;
    expect(changed).not.toBe(known);
    expect(changed.metadata?.mcp?.logLevel).toBe('error');
    expect(await first.touchSession!(data.sessionId, changed)).toBe(changed);
  },

  async 'gives the known record back also when it was read with getSession'({ first, second }) {
    const data = record();
    await first.storeSession(data.sessionId, data);
    const known = (await second.getSession(data.sessionId))!;
    expect(await second.touchSession!(data.sessionId, known)).toBe(known);
  },

  async 'changes what a patch names and leaves the rest'({ first, second }) {
    const data = record({ metadata: oddMetadata() });
    const { sessionId } = data;
    const mcp = () => second.getSession(sessionId).then(read => read?.metadata?.mcp);
    await first.storeSession(sessionId, data);
    await first.patchSession!(sessionId, { initialized: true });
    await first.patchSession!(sessionId, { logLevel: 'debug', protocolVersion: '2025-03-26' });
    for (const uri of ['b', 'a', 'b']) await second.patchSession!(sessionId, { subscribe: uri });
    expect((await mcp())?.subscriptions?.toSorted()).toEqual(['a', 'b', 'file:///ü%20{x}']);
    await first.patchSession!(sessionId, { unsubscribe: 'b' });
    await first.patchSession!(sessionId, { unsubscribe: 'never subscribed' });

    expect((await mcp())?.subscriptions?.toSorted()).toEqual(['a', 'file:///ü%20{x}']);
    const expected = structuredClone({ ...data, initialized: true });
    expected.metadata!.mcp = { ...(await mcp()), logLevel: 'debug', protocolVersion: '2025-03-26' };
    expect(await asStored(second.getSession(sessionId))).toEqual({
      ...expected,
      lastActivity: expect.any(Number) as number
    });
  },

  async 'loses none of the changes that two instances make at once'({ first, second }) {
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
    expect(initialized).toBe(true);
    expect(metadata?.mcp).toMatchObject({ logLevel: 'alert', protocolVersion: '2025-06-18' });
    expect(new Set(metadata?.mcp?.subscriptions)).toEqual(new Set(uris));
  },

  async 'keeps sessions with odd ids apart, and works for each'({ first, second }) {
    const sessionIds = oddSessionIds();
    for (const sessionId of sessionIds) await first.storeSession(sessionId, record({ sessionId }));
    for (const sessionId of sessionIds) {
      expect((await touch(second, sessionId))?.sessionId).toBe(sessionId);
      await second.updateSessionActivity(sessionId);
      await second.deleteSession(sessionId);
      expect(await first.sessionExists(sessionId)).toBe(false);
    }
  }
} satisfies Record<string, Case>;

/** As above, with sessions that live for a second. */
const expiryCases = {
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
      const read = (await second.getSession(data.sessionId))!;
      expect(read).toMatchObject({ ...data, lastActivity: expect.any(Number) as number });
      expect(read.lastActivity).toBeGreaterThan(data.lastActivity + 1000);
    }
    await elapse(SHORT_TTL_SECONDS * 1000 + 100);
    for (const data of [updated, touched, held]) await expectMissing(second, data.sessionId);
  },

  async 'counts the creation as an activity, whatever times the record tells'({ first, second, elapse }) {
    const old = record({ createdAt: 1, lastActivity: 1 });
    await first.storeSession(old.sessionId, old);
    await elapse(50);
    expect((await second.getSession(old.sessionId))?.createdAt).toBe(1);
  }
} satisfies Record<string, Case>;

type CaseName = keyof typeof cases | keyof typeof expiryCases;

/**
 * Runs the contract on a backend.
 * @param gaps - the cases that this backend cannot pass, each with the reason in words. They must fail: a gap that
 *   has closed is to be taken off the list.
 */
export function sessionStoreContract(
  name: string,
  makeTwoInstancesOverOneBackend: MakeTwoInstances,
  { gaps = {} }: { gaps?: Partial<Record<CaseName, string>> } = {}
): void {
  describe(`${name}: the contract of session stores`, () => {
    group(LONG_TTL_SECONDS, cases);
    group(SHORT_TTL_SECONDS, expiryCases);
  });

  function group(ttlSeconds: number, these: Record<string, Case>): void {
    describe(`with ${ttlSeconds} s to live`, () => {
      let stores: TwoInstances;
      beforeAll(async () => void (stores = await makeTwoInstancesOverOneBackend({ ttlSeconds })));
      afterAll(() => stores.close());

      for (const [title, run] of Object.entries(these)) {
        const reason = gaps[title as CaseName];
        if (reason === undefined) test(title, () => run(stores));
        else test(`gap, ${reason}: ${title}`, () => expect(run(stores)).rejects.toThrow());
      }
    });
  }
}

function record(fields: Partial<SessionData> = {}): SessionData {
  const now = Date.now();
  return {
    sessionId: randomUUID(),
    initialized: false,
    createdAt: now,
    lastActivity: now,
    metadata: { mcp: { protocolVersion: '2025-11-25', initialize: initializeParams } },
    ...fields
  };
}

const initializeParams = {
  protocolVersion: '2025-11-25',
  capabilities: { sampling: {}, experimental: { 'x/y': { list: [] } } },
  clientInfo: { name: 'client "quoted" ü', version: '1' }
};

/** What JSON carries and careless encodings lose. */
function oddMetadata(): Record<string, unknown> {
  const metadata = JSON.parse(`{
    "": "empty key", "__proto__": { "polluted": [] }, "constructor": null, "sub:a": "no subscription",
    "日本語 🙂": "\\u0000\\ud83d\\ude42\\n\\"", "a.b[0]{c}%d": [[], {}, [[]], { "empty": [] }],
    "big": 9007199254740991, "huge": 1.7976931348623157e308, "small": 5e-324, "long": 12345678901234567000,
    "false": false, "null": null, "text": "1", "number": 1
  }`) as Record<string, unknown>;
  metadata.mcp = {
    protocolVersion: '2025-11-25',
    initialize: initializeParams,
    principal: '["https://issuer","üser"]',
    subscriptions: ['file:///ü%20{x}'],
    fromANewerVersion: { list: [] }
  };
  return metadata;
}

function oddSessionIds(): string[] {
  const run = randomUUID();
  return [
    ...['{}', '{', '}', '}{', '{a}', '%7Ba%7D', 'a', 'a:record', 'a:deleted', '{a}:record', '%', '%25', '%s'],
    ...["'", '"', '\\', '*', '?', '[x]', '..', '/', ':', '!', '~', '__proto__', 'constructor']
  ]
    .map(odd => odd + run)
    .concat(`${run}${'~'.repeat(256 - run.length)}`, `{${run}${'}'.repeat(255 - run.length)}`);
}

function touch(store: SessionStore, sessionId: string, known?: SessionData): Promise<SessionData | null> {
  return store.touchSession ? store.touchSession(sessionId, known) : store.getSession(sessionId);
}

async function asStored(read: Promise<SessionData | null>): Promise<SessionData | null> {
  const data = await read;
  if (data) delete data.revision;
  return data;
}

async function expectMissing(store: SessionStore, sessionId: string): Promise<void> {
  expect(await store.getSession(sessionId)).toBeNull();
  expect(await store.sessionExists(sessionId)).toBe(false);
  if (store.touchSession) expect(await store.touchSession(sessionId)).toBeNull();
  if (store.patchSession) expect(await store.patchSession(sessionId, { initialized: true })).toBe(false);
}
