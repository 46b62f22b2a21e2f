import {
  createMcpHandler,
  InMemorySessionStore,
  InvalidOptionError,
  RedisSessionStore,
  type SessionStore,
  StreamableHTTPServerTransport,
  WebStandardStreamableHTTPServerTransport
} from 'mcp-sdk-anypod/server';

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
    ['options', () => new StreamableHTTPServerTransport(null as never)],
    ['maxRequestBodySize', () => new StreamableHTTPServerTransport({ maxRequestBodySize: -1 })],
    ['serverFactory', () => createMcpHandler({} as never)],
    ['idleTimeoutMs', () => createMcpHandler(server, { idleTimeoutMs: -1 })],
    ['maxLiveSessions', () => createMcpHandler(server, { maxLiveSessions: 1.5 })],
    ['onerror', () => createMcpHandler(server, { onerror: 'log' as never })],
    ['drainMs', () => createMcpHandler(server).close({ drainMs: -1 })],
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
