import { jest } from '@jest/globals';
import {
  createMcpHandler,
  InMemoryEventStore,
  InMemorySessionStore,
  type McpHandlerOptions,
  McpServer
} from 'mcp-sdk-anypod/server';
import { listen } from '../support/servers/listen.js';
import { nodeListener } from '../support/servers/nodeListener.js';
import { RawClient } from '../support/clients/rawClient.js';
import { stopAfterTest } from '../support/stopAfterTest.js';

beforeEach(() => void jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask'] }));
afterEach(() => void jest.useRealTimers());

const settings: [string, () => McpHandlerOptions][] = [
  ['memory mode', () => ({})],
  [
    'external mode with an event store',
    () => ({ sessionStore: new InMemorySessionStore(), eventStore: new InMemoryEventStore() })
  ]
];

describe.each(settings)('with fake timers, in %s', (_mode, options) => {
  test.each(['node', 'fetch'] as const)('a handler answers a whole session through handler.%s', async adapter => {
    const handler = createMcpHandler(() => {
      const server = new McpServer({ name: 'probe', version: '1' });
      server.registerTool('greet', {}, () => ({ content: [{ type: 'text', text: 'hello' }] }));
      return server;
    }, options());
    const server = await listen(
      adapter === 'node' ? (req, res) => void handler.node(req, res) : nodeListener(request => handler.fetch(request))
    );
    stopAfterTest(() => server.stop());
    const url = `${server.origin}/mcp`;
    const client = await new RawClient().open(url);
    expect(await client.callTool(url, 'greet')).toBe('hello');
    expect((await client.delete(url)).status).toBe(200);
    await handler.close();
  });
});

test('with fake timers, a store that does not answer costs a 503 in time', async () => {
  const sessionStore = new InMemorySessionStore();
  const handler = createMcpHandler(() => new McpServer({ name: 'probe', version: '1' }), {
    sessionStore,
    storeTimeoutMs: 20,
    onerror: () => {}
  });
  sessionStore.storeSession = () => new Promise(() => {});
  const server = await listen((req, res) => void handler.node(req, res));
  stopAfterTest(() => server.stop());
  expect((await new RawClient().initialize(`${server.origin}/mcp`)).status).toBe(503);
  await handler.close();
});

test('with fake timers, a quiet stream is kept alive', async () => {
  const handler = createMcpHandler(() => new McpServer({ name: 'probe', version: '1' }), { keepAliveMs: 20 });
  const server = await listen((req, res) => void handler.node(req, res));
  stopAfterTest(() => server.stop());
  const client = await new RawClient().open(`${server.origin}/mcp`);
  const headers = { accept: 'text/event-stream', 'mcp-session-id': client.sessionId! };
  const { body } = await fetch(`${server.origin}/mcp`, { headers });
  const reader = body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe(': keepalive\n\n');
  await reader.cancel();
  await handler.close();
});
