import fc from 'fast-check';
import { parseJSONRPCMessage } from '@modelcontextprotocol/server';
import { JSONRPCMessageSchema } from 'mcp-sdk-upstream/types.js';
import { parseMessage } from '../../src/engine/http/jsonRpc.js';

function outcome(parse: (value: unknown) => unknown, value: unknown): unknown {
  try {
    return parse(value);
  } catch {
    return 'refused';
  }
}

function expectAsTheSchema(value: unknown): void {
  const copies: unknown[] = [structuredClone(value), structuredClone(value)];
  const parsed = outcome(parseMessage, value);
  expect(parsed).toEqual(outcome(copied => JSONRPCMessageSchema.parse(copied), copies[0]));
  // Version 2 does not check the known fields of a result's `_meta`.
  const hasMeta = (value as { result?: { _meta?: unknown } } | null)?.result?._meta !== undefined;
  if (!hasMeta) expect(parsed).toEqual(outcome(parseJSONRPCMessage, copies[1]));
}

const id = fc.oneof(fc.string(), fc.integer(), fc.double(), fc.constantFrom(null, true, 1e21, -0, 2 ** 53, {}, []));
const meta = fc.oneof(
  fc.record({ progressToken: id }, { requiredKeys: [] }),
  fc.record({ 'io.modelcontextprotocol/related-task': fc.oneof(fc.record({ taskId: id }), fc.jsonValue()) }),
  fc.jsonValue()
);
const params = fc.oneof(
  fc.dictionary(fc.constantFrom('name', 'arguments', 'toString', 'constructor'), fc.jsonValue()),
  fc.record({ _meta: meta, name: fc.jsonValue() }, { requiredKeys: [] }),
  fc.jsonValue()
);
const message = fc.record(
  {
    jsonrpc: fc.oneof({ weight: 9, arbitrary: fc.constant('2.0') }, fc.jsonValue()),
    id,
    method: fc.oneof({ weight: 9, arbitrary: fc.string() }, fc.jsonValue()),
    params,
    result: params,
    error: fc.oneof(fc.record({ code: id, message: fc.string() }), fc.jsonValue()),
    more: fc.jsonValue()
  },
  { requiredKeys: [] }
);

/** Nearly valid messages of each form, as text, so that an own `__proto__` is possible. */
const someMeta = fc.record(
  {
    progressToken: fc.oneof(fc.string(), fc.integer(), fc.double()),
    'io.modelcontextprotocol/related-task': fc.oneof(
      fc.record({ taskId: fc.string() }),
      fc.record({ taskId: fc.oneof(fc.string(), fc.integer()), more: fc.jsonValue() }),
      fc.constant(null)
    ),
    PROTO: fc.constant({ a: 1 }),
    more: fc.jsonValue()
  },
  { requiredKeys: [] }
);
const body = fc.record({ _meta: someMeta, PROTO: fc.constant({ b: 2 }), more: fc.jsonValue() }, { requiredKeys: [] });
const someId = fc.oneof(fc.string(), fc.integer());
const more = { jsonrpc: fc.constant('2.0'), PROTO: fc.constant({ c: 3 }), more: fc.jsonValue() };
const failure = fc.record(
  { code: fc.integer(), message: fc.string(), data: fc.jsonValue(), more: fc.jsonValue(), PROTO: fc.constant({}) },
  { requiredKeys: ['code', 'message'] }
);
const wellFormed = fc.oneof(
  fc.record({ ...more, id: someId, method: fc.string(), params: body }, { requiredKeys: ['jsonrpc', 'method'] }),
  fc.record({ ...more, id: someId, result: body }, { requiredKeys: ['jsonrpc', 'id', 'result'] }),
  fc.record({ ...more, id: someId, error: failure }, { requiredKeys: ['jsonrpc', 'error'] })
);
const parsedText = wellFormed.map(
  value => JSON.parse(JSON.stringify(value).replaceAll('"PROTO"', '"__proto__"')) as unknown
);

test.each([
  ['any values', message, 5000],
  ['nearly valid messages', parsedText, 5000]
] as const)(
  "of %s, exactly those that both SDKs' schemas accept are accepted, with the same content",
  (_, values, numRuns) => {
    fc.assert(fc.property(values as fc.Arbitrary<unknown>, expectAsTheSchema), { seed: 20_251_125, numRuns });
  }
);

test.each([
  { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'a', _meta: { progressToken: 1, more: [] } } },
  { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } },
  { jsonrpc: '2.0', id: 'pod:1', result: { _meta: { 'io.modelcontextprotocol/related-task': { taskId: 'a' } } } },
  { jsonrpc: '2.0', id: 1, error: { code: 1, message: 'a', data: {} } }
])('the ordinary message %j is returned without a copy', value => {
  expect(parseMessage(value)).toBe(value);
});

test.each([
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a"}}}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"__proto__":{"name":"echo"}}}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","__proto__":{"params":{}}}',
  '{"jsonrpc":"2.0","id":9007199254740992,"method":"ping"}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
  '{"jsonrpc":"2.0","method":"notifications/x","result":{}}',
  'null',
  '[]',
  '"ping"'
])('%s is accepted or refused as by the schema', text => expectAsTheSchema(JSON.parse(text)));

test("a message in an object of a framework's own class is accepted as by the schema", () => {
  class Body {
    jsonrpc = '2.0';
    id = 1;
    method = 'ping';
  }
  expect(parseMessage(new Body())).toEqual(JSONRPCMessageSchema.parse(new Body()));
  expect(parseMessage(Object.assign(Object.create(null), new Body()))).toEqual(JSONRPCMessageSchema.parse(new Body()));
});
