import fc from 'fast-check';
import { fromFields, toChanges, toFields } from '../../src/backends/redis/sessionHash.js';
import { applyPatch, type SessionData, type SessionPatch } from '../../src/ports/sessionStore.js';

const initialize = {
  protocolVersion: '2025-11-25',
  capabilities: { roots: { listChanged: true }, sampling: {}, elicitation: {} },
  clientInfo: { name: 'claude-desktop', version: '1.4.2' }
};

/** Some of it as clients send it, some of it as anything else may stand there. */
const json = fc.jsonValue({ maxDepth: 3 });
const tree = fc.dictionary(fc.string({ unit: 'binary' }), json, { maxKeys: 4 });
const text = fc.oneof(
  fc.constantFrom('', '2025-11-25', '2025-03-26', 'debug', '["https://issuer","üser"]', 'x'.repeat(64), 'x'.repeat(65)),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', minLength: 60, maxLength: 3000 })
);
const some = <T>(usual: fc.Arbitrary<T>) => fc.oneof({ weight: 5, arbitrary: usual }, json);
const handshake = fc.record(
  { protocolVersion: some(text), capabilities: some(tree), clientInfo: some(tree), _meta: tree },
  { requiredKeys: [] }
);
const mcp = fc.record(
  {
    version: fc.integer(),
    protocolVersion: some(text),
    initialize: some(handshake),
    principal: some(text),
    logLevel: some(text),
    subscriptions: some(fc.uniqueArray(text, { maxLength: 5 })),
    state: json
  },
  { requiredKeys: [] }
);
const metadata = fc.oneof(
  fc.constant(undefined),
  tree,
  fc.tuple(tree, some(mcp)).map(([rest, state]) => ({ ...rest, mcp: state }))
);
const session = fc.record({
  createdAt: fc.nat({ max: 4e12 }),
  lastActivity: fc.nat({ max: 4e12 }),
  initialized: fc.boolean(),
  metadata
});
const patch = fc.record(
  { initialized: fc.constant(true), protocolVersion: text, logLevel: text, subscribe: text, unsubscribe: text },
  { requiredKeys: [] }
);

describe('a record in Redis', () => {
  it('comes back as it was stored', () => {
    fc.assert(
      fc.property(session, given => {
        // What JSON does to it, such as -0, is no concern of the fields.
        const data = throughJson({ sessionId: 's', ...given });
        expect(sorted(read(write(data)))).toEqual(sorted(data));
      }),
      { numRuns: 1000 }
    );
  });

  it('has the values that the patch rules prescribe after patches', () => {
    const known = fc.record({ protocolVersion: text, initialize: handshake, subscriptions: fc.uniqueArray(text) });
    fc.assert(
      fc.property(known, fc.array(patch, { maxLength: 6 }), (state, patches) => {
        const data = throughJson({ ...times, metadata: { mcp: state } });
        const fields = write(data);
        let expected = data;
        for (const each of patches as SessionPatch[]) {
          const { subscribe, ...rest } = each;
          const inTurn = subscribe !== undefined && subscribe === rest.unsubscribe ? rest : each;
          apply(fields, inTurn);
          expected = applyPatch(expected, inTurn);
        }
        expect(sorted(read(fields))).toEqual(sorted(throughJson(expected)));
      }),
      { numRuns: 500 }
    );
  });

  it('of a usual client has no value over 64 bytes and holds nothing twice', () => {
    expect(write({ ...times, metadata: { mcp: { protocolVersion: '2025-11-25', initialize } } })).toEqual({
      t: '1',
      q: '2025-11-25',
      c: '{"roots":{"listChanged":true},"sampling":{},"elicitation":{}}',
      n: '{"name":"claude-desktop","version":"1.4.2"}'
    });
  });

  it('keeps the requested protocol version apart from the negotiated one', () => {
    const asked = { ...initialize, protocolVersion: '2099-01-01' };
    const fields = write({ ...times, metadata: { mcp: { protocolVersion: '2025-11-25', initialize: asked } } });
    expect(fields).toMatchObject({ q: '2099-01-01', p: '2025-11-25' });
    apply(fields, { protocolVersion: '2025-06-18' });
    expect(read(fields)?.metadata?.mcp).toEqual({ protocolVersion: '2025-06-18', initialize: asked });
  });

  it('has long texts in pieces of at most 64 bytes, cut between characters, and very long texts in one piece', () => {
    const principal = `["https://issuer.example.com/realms/one","${'p'.repeat(100)}"]`;
    const clientInfo = { name: 'ü日🙂'.repeat(40), version: '1' };
    const mcp = { protocolVersion: 'x', principal, initialize: { ...initialize, clientInfo } };
    const fields = write({ ...times, metadata: { mcp } });
    expect(Math.max(...Object.values(fields).map(value => Buffer.byteLength(value)))).toBe(64);
    for (const value of Object.values(fields)) expect(Buffer.from(value).toString()).toBe(value);

    const large = write({ ...times, metadata: { note: 'n'.repeat(5000) } });
    expect(Object.keys(large)).toEqual(['t', 'm']);
  });

  it('of a newer format, or with invalid JSON, is unreadable', () => {
    const fields = write({ ...times, metadata: { mcp: { protocolVersion: '2025-11-25', initialize } } });
    expect(() => read({ ...fields, f: '2' })).toThrow('newer version');
    for (const field of ['m', 'c', 'n']) {
      for (const value of ['{not json', '"text"', '[1]', '7', 'null', '']) {
        expect(() => read({ ...fields, [field]: value })).toThrow('The record in Redis is no JSON');
      }
      if (field !== 'm') expect(() => read({ ...fields, [field]: undefined as never })).toThrow('no JSON');
    }
    expect(read({})).toBeUndefined();
  });
});

const times = { sessionId: 's', initialized: false, createdAt: 1, lastActivity: 1 };

/** As Redis has it, in the order in which nobody may rely on. */
function write(data: SessionData): Record<string, string> {
  return inPairs(toFields(data));
}

function read(fields: Record<string, string>): SessionData | undefined {
  const data = fromFields('s', '7', fields);
  if (!data) return undefined;
  expect(data.revision).toBe(7);
  delete data.revision;
  return data;
}

function apply(fields: Record<string, string>, change: SessionPatch): void {
  const { set, remove } = toChanges(change);
  for (const [field, value] of Object.entries(inPairs(set))) define(fields, field, value);
  for (const field of remove) delete fields[field];
}

function inPairs(list: string[]): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let i = 0; i < list.length; i += 2) define(fields, list[i] as string, list[i + 1] as string);
  return fields;
}

function define(fields: Record<string, string>, field: string, value: string): void {
  Object.defineProperty(fields, field, { value, enumerable: true, configurable: true, writable: true });
}

function throughJson(data: object): SessionData {
  return JSON.parse(JSON.stringify(data)) as SessionData;
}

/** Subscriptions are a set, and one that is empty is none. */
function sorted(data: SessionData | undefined): unknown {
  const subscriptions = data?.metadata?.mcp?.subscriptions;
  if (!Array.isArray(subscriptions)) return data;
  const mcp: Record<string, unknown> = { ...data!.metadata!.mcp, subscriptions: [...subscriptions].sort() };
  if (subscriptions.length === 0) delete mcp.subscriptions;
  return { ...data, metadata: { ...data!.metadata, mcp } };
}
