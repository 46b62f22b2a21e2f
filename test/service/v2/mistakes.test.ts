import { McpServer } from '@modelcontextprotocol/server';
import { createMcpHandler as firstHandler, StreamableHTTPServerTransport } from 'mcp-sdk-anypod/server';
import { McpServer as FirstServer } from 'mcp-sdk-upstream/server/mcp.js';
import {
  createMcpHandler,
  InMemorySessionStore,
  NodeStreamableHTTPServerTransport,
  WebStandardStreamableHTTPServerTransport
} from '../../../src/v2/index.js';

const NEEDS_V2 =
  'mcp-server-anypod needs a server of version 2 of the SDK (@modelcontextprotocol/server). For servers of ' +
  '@modelcontextprotocol/sdk use mcp-sdk-anypod; without a server, call setSupportedProtocolVersions before start';
const NEEDS_V1 =
  'mcp-sdk-anypod does not support servers of version 2 of the SDK (@modelcontextprotocol/server): ' +
  'connect a server of @modelcontextprotocol/sdk 1.x, or use the transports of mcp-server-anypod';

const info = { name: 'mistake', version: '1' };
const oldServer = (): FirstServer => new FirstServer(info);
const newServer = (): McpServer => new McpServer(info);

function initialize(): Request {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
  return new Request('http://pods.test/mcp', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })
  });
}

function modernRequest(method: string): Request {
  const meta = { protocolVersion: '2026-07-28', clientInfo: { name: 'raw', version: '1' }, clientCapabilities: {} };
  const envelope = Object.entries(meta).map(([key, value]) => [`io.modelcontextprotocol/${key}`, value]);
  const params = { _meta: Object.fromEntries(envelope) as unknown };
  return new Request('http://pods.test/mcp', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
  });
}

it.each([
  ['Node', () => new NodeStreamableHTTPServerTransport()],
  ['web-standard', () => new WebStandardStreamableHTTPServerTransport({ sessionStore: new InMemorySessionStore() })]
])('a server of version 1 is refused by a %s transport for version 2', async (_adapter, newTransport) => {
  await expect(oldServer().connect(newTransport() as never)).rejects.toMatchObject({
    code: 'ANYPOD_UNSUPPORTED_RUNTIME',
    message: NEEDS_V2
  });
  await expect(newServer().connect(newTransport())).resolves.toBeUndefined();
});

it('a server of version 2 is refused by a transport for version 1', async () => {
  await expect(newServer().connect(new StreamableHTTPServerTransport() as never)).rejects.toMatchObject({
    code: 'ANYPOD_UNSUPPORTED_RUNTIME',
    message: NEEDS_V1
  });
});

it.each([
  ['1', '2', NEEDS_V2, (onerror: (error: Error) => void) => createMcpHandler(oldServer as never, { onerror })],
  ['2', '1', NEEDS_V1, (onerror: (error: Error) => void) => firstHandler(newServer as never, { onerror })]
])('a factory of servers of version %s, in a handler for version %s, is reported', async (_is, _for, message, make) => {
  const reported: string[] = [];
  const handler = make(error => reported.push(error.message));
  const response = await handler.fetch(initialize());
  expect(response.status).toBe(500);
  expect(await response.text()).not.toContain('anypod');
  expect(reported).toEqual([message]);
  await handler.close({ drainMs: 0 });
});

it('an McpServer of another copy of the SDK, for a request of 2026-07-28, is reported with the remedy', async () => {
  let copy!: { McpServer: typeof McpServer };
  jest.isolateModules(() => (copy = jest.requireActual('@modelcontextprotocol/server')));
  expect(copy.McpServer).not.toBe(McpServer);
  const reported: string[] = [];
  const onerror = (error: Error): void => void reported.push(error.message);
  const handler = createMcpHandler(() => new copy.McpServer(info), { onerror });
  expect((await handler.fetch(modernRequest('server/discover'))).status).toBe(500);
  expect(reported).toEqual([
    'The factory returned an McpServer of another copy or version of the SDK, which cannot serve 2026-07-28. Load ' +
      '@modelcontextprotocol/server and mcp-server-anypod both with import, or both with require'
  ]);
  // Its sessions do not depend on the copy.
  expect((await handler.fetch(initialize())).status).toBe(200);
  await handler.close({ drainMs: 0 });
});

it.each<[unknown, string]>([
  ['stateless', "'stateless'"],
  ['reject', "'reject'"],
  [() => new Response(), 'a function'],
  [true, 'a boolean']
])('legacy: %p is refused when the handler is made', (legacy, kind) => {
  expect(() => createMcpHandler(newServer, { legacy: legacy as never })).toThrow(
    new Error(
      `Invalid option legacy: got ${kind}, expected 'sessions': without sessions for 2025 clients, ` +
        'use createMcpHandler of @modelcontextprotocol/server'
    )
  );
});

it('modern: another value is refused when the handler is made', () => {
  expect(() => createMcpHandler(newServer, { modern: 'no' as never })).toThrow('Invalid option modern');
});

it.each(['server/discover', 'tools/list', 'subscriptions/listen'])(
  "modern: 'refuse' answers %s of 2026-07-28 as version 1 does",
  async method => {
    const handlers = [
      firstHandler(oldServer, { onerror: () => {} }),
      createMcpHandler(newServer, { modern: 'refuse', onerror: () => {} })
    ];
    const [expected, answer] = await Promise.all(handlers.map(handler => handler.fetch(modernRequest(method))));
    expect([answer?.status, await answer?.text()]).toEqual([400, await expected?.text()]);
    await Promise.all(handlers.map(handler => handler.close({ drainMs: 0 })));
  }
);
