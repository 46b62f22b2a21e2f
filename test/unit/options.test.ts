import {
  createMcpHandler,
  enableResourceSubscriptions,
  InMemorySessionStore,
  InvalidOptionError,
  RedisSessionStore,
  type McpHandler,
  type SessionStore,
  StreamableHTTPServerTransport,
  WebStandardStreamableHTTPServerTransport
} from 'mcp-sdk-anypod/server';
import { checkNumber } from '../../src/validate.js';

const store = new InMemorySessionStore();
const server = (): never => {
  throw new Error('not called');
};

describe.each([StreamableHTTPServerTransport, WebStandardStreamableHTTPServerTransport])('%p', Transport => {
  it.each([
    [{}, 'memory'],
    [{ sessionStorageMode: 'memory' as const }, 'memory'],
    [{ sessionStore: store }, 'external'],
    [{ sessionStorageMode: 'external' as const, sessionStore: store }, 'external'],
    [{ sessionStorageMode: 'memory' as const, sessionStore: store }, 'memory']
  ])('with %j keeps its session in %s', (options, mode) => {
    const transport = new Transport({ sessionIdGenerator: () => 'x', ...options });
    expect(transport.sessionStorageMode).toBe(mode);
    expect(transport.isUsingExternalSessionStore).toBe(mode === 'external');
  });
});

describe('a bad option is refused where it is given, by its name', () => {
  const secret = 'redis://user:secret@host';
  const cases: [string, () => unknown][] = [
    ['sessionStore', () => new StreamableHTTPServerTransport({ sessionStorageMode: 'external' })],
    ['sessionStore', () => new StreamableHTTPServerTransport({ sessionStore: secret as unknown as SessionStore })],
    ['sessionStore', () => new StreamableHTTPServerTransport({ sessionStore: {} as SessionStore })],
    ['sessionStorageMode', () => new StreamableHTTPServerTransport({ sessionStorageMode: secret as 'memory' })],
    ['standaloneStream', () => new StreamableHTTPServerTransport({ standaloneStream: secret as 'reject' })],
    ['storeTimeoutMs', () => new StreamableHTTPServerTransport({ storeTimeoutMs: 0 })],
    ['storeTimeoutMs', () => new StreamableHTTPServerTransport({ storeTimeoutMs: NaN })],
    ['storeTimeoutMs', () => new StreamableHTTPServerTransport({ storeTimeoutMs: '5' as unknown as number })],
    [
      'sessionIdGenerator',
      () => new StreamableHTTPServerTransport({ sessionIdGenerator: 'id' as unknown as () => string })
    ],
    ['eventStore', () => new StreamableHTTPServerTransport({ eventStore: {} as never })],
    ['onsessionrecovered', () => new StreamableHTTPServerTransport({ onsessionrecovered: 1 as never })],
    ['principalOf', () => new StreamableHTTPServerTransport({ principalOf: 'sub' as never })],
    ['sessionFreshnessMs', () => new StreamableHTTPServerTransport({ sessionFreshnessMs: -1 })],
    [
      'sessionFreshnessMs',
      () =>
        new StreamableHTTPServerTransport({
          sessionStore: new InMemorySessionStore({ ttlSeconds: 5 }),
          sessionFreshnessMs: 5000
        })
    ],
    ['maxStateBytes', () => new StreamableHTTPServerTransport({ maxStateBytes: 0 })],
    ['namespace', () => new StreamableHTTPServerTransport({ namespace: 'secret/x' })],
    ['namespace', () => new StreamableHTTPServerTransport({ namespace: '' })],
    ['maxHandshakeBytes', () => new StreamableHTTPServerTransport({ maxHandshakeBytes: 0 })],
    ['maxSubscriptionBytes', () => new StreamableHTTPServerTransport({ maxSubscriptionBytes: 1.5 })],
    ['maxBusMessageBytes', () => new StreamableHTTPServerTransport({ maxBusMessageBytes: 10 })],
    ['options', () => new StreamableHTTPServerTransport(null as never)],
    ['maxRequestBodySize', () => new StreamableHTTPServerTransport({ maxRequestBodySize: -1 })],
    ['serverFactory', () => createMcpHandler({} as never)],
    ['idleTimeoutMs', () => createMcpHandler(server, { idleTimeoutMs: -1 })],
    ['maxLiveSessions', () => createMcpHandler(server, { maxLiveSessions: 1.5 })],
    ['maxSessionsPerPrincipal', () => createMcpHandler(server, { maxSessionsPerPrincipal: 1 })],
    [
      'maxSessionsPerPrincipal',
      () => createMcpHandler(server, { sessionStore: new InMemorySessionStore(), maxSessionsPerPrincipal: 0 })
    ],
    ['openRateLimit', () => createMcpHandler(server, { openRateLimit: 5 as never })],
    ['openRateLimit.limit', () => createMcpHandler(server, { openRateLimit: {} as never })],
    ['openRateLimit.windowMs', () => createMcpHandler(server, { openRateLimit: { limit: 1, windowMs: 0 } })],
    ['onerror', () => createMcpHandler(server, { onerror: 'log' as never })],
    ['mcpServer', () => enableResourceSubscriptions({} as never)],
    ['mcpServer', () => enableResourceSubscriptions(undefined as never)],
    ['ttlSeconds', () => new InMemorySessionStore({ ttlSeconds: 0 })],
    ['maxSessions', () => new InMemorySessionStore({ maxSessions: 0 })],
    ['redis', () => new RedisSessionStore({ redis: secret as never })],
    ['redis', () => new RedisSessionStore({} as never)],
    ['keyPrefix', () => new RedisSessionStore({ redis: fakeRedis(), keyPrefix: 5 as never })],
    ['ttlSeconds', () => new RedisSessionStore({ redis: fakeRedis(), ttlSeconds: 1.5 })],
    ['onLog', () => new RedisSessionStore({ redis: fakeRedis(), onLog: true as never })]
  ];

  it.each(cases)('%s', (option, construct) => {
    let thrown: unknown;
    try {
      construct();
    } catch (error) {
      thrown = error;
    }
    // The SDK's own check of the body limit is kept as it is.
    if (option === 'maxRequestBodySize') expect(thrown).toBeInstanceOf(RangeError);
    else expect(thrown).toBeInstanceOf(InvalidOptionError);
    expect((thrown as Error).message).toContain(option);
    expect((thrown as Error).message).not.toContain('secret');
  });
});

test.each<[string, (handler: McpHandler) => Promise<unknown>]>([
  ['drainMs', handler => handler.close({ drainMs: -1 })],
  ['delayMs', handler => handler.close({ delayMs: -1 })],
  ['options', handler => handler.close(null as never)],
  ['sessionId', handler => handler.terminateSession(undefined as never)]
])('a method of the handler rejects for a bad %s', async (name, call) => {
  const rejected = call(createMcpHandler(server));
  await expect(rejected).rejects.toThrow(InvalidOptionError);
  await expect(rejected).rejects.toThrow(name);
});

test.each([
  [undefined, 'undefined'],
  [{}, 'an object']
])('a serverFactory that returns %j is named as what is wrong', async (returned, kind) => {
  const onerror = jest.fn<void, [Error]>();
  const handler = createMcpHandler(() => returned as never, { onerror });
  const initialize = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'client', version: '1' } }
  };
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const body = JSON.stringify(initialize);
  const { status } = await handler.fetch(new Request('http://localhost/mcp', { method: 'POST', headers, body }));
  expect(status).toBe(500);
  expect(onerror.mock.calls).toEqual([[expect.any(InvalidOptionError)]]);
  expect(String(onerror.mock.calls[0]![0])).toContain(`serverFactory: got a function that returned ${kind}, expected`);
  await handler.close();
});

test('an error about a whole number names the limit as a whole number', () => {
  expect(() => checkNumber('ttlMs', 0, { min: 1, max: 5.5, integer: true })).toThrow(/an integer from 1 to 5$/);
});

function fakeRedis(): never {
  const method = (): void => {};
  return {
    getex: method,
    exists: method,
    pipeline: method,
    defineCommand: method,
    publish: method,
    duplicate: method
  } as never;
}
