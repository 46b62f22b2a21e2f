import fc from 'fast-check';
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
  const copy: unknown = structuredClone(value);
  expect(outcome(parseMessage, value)).toEqual(outcome(copied => JSONRPCMessageSchema.parse(copied), copy));
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

test("a message is accepted or refused exactly as by the SDK's schema", () => {
  fc.assert(fc.property(message, expectAsTheSchema), { seed: 20_251_125, numRuns: 5000 });
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
])('%s is taken as the schema takes it', text => expectAsTheSchema(JSON.parse(text)));

test("a message in an object of a framework's own class is accepted as by the schema", () => {
  class Body {
    jsonrpc = '2.0';
    id = 1;
    method = 'ping';
  }
  expect(parseMessage(new Body())).toEqual(JSONRPCMessageSchema.parse(new Body()));
  expect(parseMessage(Object.assign(Object.create(null), new Body()))).toEqual(JSONRPCMessageSchema.parse(new Body()));
});
