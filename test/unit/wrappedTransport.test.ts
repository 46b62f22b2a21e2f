import { McpServer as SecondVersionServer } from '@modelcontextprotocol/server';
import {
  InMemorySessionStore,
  McpServer,
  type StreamableHTTPServerTransportOptions,
  WebStandardStreamableHTTPServerTransport
} from 'mcp-sdk-anypod/server';
import { WebStandardStreamableHTTPServerTransport as StockTransport } from 'mcp-sdk-upstream/server/webStandardStreamableHttp.js';

type WebTransport = WebStandardStreamableHTTPServerTransport | StockTransport;

const clientInfo = { name: 'unit', version: '1' };
const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
const jsonHeaders = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };

function post(message: object, sessionId?: string): Request {
  const headers = { ...jsonHeaders, ...(sessionId && { 'mcp-session-id': sessionId }) };
  return new Request('http://localhost/mcp', { method: 'POST', headers, body: JSON.stringify(message) });
}

const newId = (): string => globalThis.crypto.randomUUID();

const transports: [string, () => WebTransport][] = [
  ['the transport of the SDK', () => new StockTransport({ sessionIdGenerator: newId })],
  ['ours in memory mode', () => ours({ sessionIdGenerator: newId })],
  ['ours in external mode', () => ours({ sessionStore: new InMemorySessionStore() })]
];

function ours(options: StreamableHTTPServerTransportOptions): WebTransport {
  return new WebStandardStreamableHTTPServerTransport(options);
}

const wrappers: [string, (transport: WebTransport) => WebTransport][] = [
  ['a Proxy', transport => new Proxy(transport, {})],
  ['an object that inherits from it', transport => Object.create(transport) as WebTransport]
];

describe.each(transports)('%s', (_whose, create) => {
  test.each(wrappers)('serves a session through %s', async (_kind, wrap) => {
    const transport = wrap(create());
    const errors: Error[] = [];
    const server = new McpServer({ name: 'probe', version: '1' });
    server.registerTool('greet', {}, () => ({ content: [{ type: 'text', text: 'hello' }] }));
    transport.onerror = error => errors.push(error);
    await server.connect(transport);

    const opened = await transport.handleRequest(post({ jsonrpc: '2.0', id: 1, method: 'initialize', params }));
    const sessionId = opened.headers.get('mcp-session-id')!;
    expect(transport.sessionId).toBe(sessionId);
    const call = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'greet' } };
    expect(await (await transport.handleRequest(post(call, sessionId))).text()).toContain('hello');
    transport.closeStandaloneSSEStream();
    transport.closeSSEStream(2);
    await server.close();
    expect(errors).toEqual([]);
  });
});

test('enumerating or copying a transport does not reach its session', () => {
  const transport = ours({ sessionStore: new InMemorySessionStore() });
  expect([Object.keys(transport), JSON.stringify(transport), { ...transport }]).toEqual([[], '{}', {}]);
});

test('a server of version 2 of the SDK is refused when it connects', async () => {
  const server = new SecondVersionServer({ name: 'probe', version: '1' });
  const error = await server.connect(ours({}) as never).then(
    () => undefined,
    (reason: unknown) => reason
  );
  expect(error).toMatchObject({
    code: 'ANYPOD_UNSUPPORTED_RUNTIME',
    message:
      'mcp-sdk-anypod does not support servers of version 2 of the SDK (@modelcontextprotocol/server): ' +
      'connect a server of @modelcontextprotocol/sdk 1.x, or use the transports of mcp-server-anypod'
  });
});
