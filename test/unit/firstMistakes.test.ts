import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:tls';
import { jest } from '@jest/globals';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import {
  BackendUnavailableError,
  createMcpHandler,
  createMemorySessionStore,
  createSessionServices,
  createSessionStore,
  encryptSessionStore,
  FileSessionStore,
  InMemorySessionStore,
  McpServer,
  PostgresSessionStore,
  RedisEventStore,
  RedisSessionBus,
  RedisSessionStore,
  RedisTaskStore,
  SessionStoreUnavailableError,
  WebStandardStreamableHTTPServerTransport,
  withLock
} from 'mcp-sdk-anypod/server';
import { replaceTimers } from '../../src/timers.js';

const sessionStore = new InMemorySessionStore();
const createSessionServicesNow = (): object => ({ sessionStore, close: () => {} });
const SESSION_STORE =
  'a session store, such as new RedisSessionStore({ redis }): an object with the methods storeSession, getSession, ' +
  'updateSessionActivity, deleteSession, sessionExists';
const redis = new Redis({ lazyConnect: true, socketTimeout: 5000 });
const pool = { query: () => {}, connect: () => {}, on: () => {} };
const newServer = (): McpServer => new McpServer({ name: 'probe', version: '1' });

async function messageOf(act: () => unknown): Promise<string | undefined> {
  try {
    await act();
  } catch (error) {
    return (error as Error).message;
  }
  return undefined;
}

describe('an option whose name is almost a known one is refused with a suggestion', () => {
  const cases: [string, () => unknown, string][] = [
    [
      'transport',
      () => new WebStandardStreamableHTTPServerTransport({ sessionStor: sessionStore } as never),
      'sessionStore'
    ],
    ['transport', () => new WebStandardStreamableHTTPServerTransport({ keepaliveMs: 1 } as never), 'keepAliveMs'],
    ['handler', () => createMcpHandler(newServer, { sesionStore: sessionStore } as never), 'sessionStore'],
    ['handler', () => createMcpHandler(newServer, { onError: () => {} } as never), 'onerror'],
    ['handler', () => createMcpHandler(newServer, { maxLiveSession: 1 } as never), 'maxLiveSessions'],
    ['services', () => createSessionServices({ redisURL: 'redis://localhost' } as never), 'redisUrl'],
    ['RedisSessionStore', () => new RedisSessionStore({ redis, keyprefix: 'a' } as never), 'keyPrefix'],
    ['RedisEventStore', () => new RedisEventStore({ redis, ttlSecond: 1 } as never), 'ttlSeconds'],
    ['RedisSessionBus', () => new RedisSessionBus({ redis, key_prefix: 'a' } as never), 'keyPrefix'],
    ['RedisTaskStore', () => new RedisTaskStore({ redis, maxTtlMS: 1 } as never), 'maxTtlMs'],
    ['PostgresSessionStore', () => new PostgresSessionStore({ pool, ttl: 1 } as never), 'ttlSeconds'],
    ['InMemorySessionStore', () => new InMemorySessionStore({ maxSession: 1 } as never), 'maxSessions'],
    ['FileSessionStore', () => new FileSessionStore({ path: '/tmp/x', ttlSecond: 1 } as never), 'ttlSeconds'],
    ['encryptSessionStore', () => encryptSessionStore(sessionStore, { readPlainText: true } as never), 'readPlaintext'],
    ['withLock', () => withLock(sessionStore, 'id', () => {}, { timeoutMS: 1 } as never), 'timeoutMs'],
    ['close', () => createMcpHandler(newServer).close({ drainMS: 1 } as never), 'drainMs'],
    ['services', () => createSessionServices({ redis_url: 'redis://localhost' } as never), 'redisUrl']
  ];
  test.each(cases)('%s: %s', async (_where, act, meant) => {
    expect(await messageOf(act)).toMatch(new RegExp(`^Invalid option \\w+: got an unknown name, expected ${meant}$`));
  });

  const hidden: [string, object, string][] = [
    ['a store', { store: sessionStore }, 'store: got a session store under an unknown name, expected sessionStore'],
    [
      'services that are not spread',
      { services: createSessionServicesNow() },
      'services: got an object with a sessionStore, expected its parts, as options: { ...services }'
    ],
    [
      'services that are not awaited',
      { services: createSessionServices({ preferMemory: true }) },
      'services: got a Promise (was it awaited?), expected its parts, as options: { ...services }'
    ],
    [
      'a Redis client',
      { redis },
      'redis: got a Redis client, expected the option sessionStore: new RedisSessionStore({ redis })'
    ]
  ];
  test.each(hidden)('%s under a name that is not an option is refused', async (_what, options, message) => {
    expect(await messageOf(() => createMcpHandler(newServer, options))).toBe(`Invalid option ${message}`);
    const transport = (): unknown => new WebStandardStreamableHTTPServerTransport(options);
    expect(await messageOf(transport)).toBe(`Invalid option ${message}`);
  });

  test('an unknown option with another name passes, because an object may serve several purposes', async () => {
    const services = {
      ...createMemorySessionStore({ lockTimeout: 1 }),
      taskStore: {},
      storage: 'memory',
      close: () => {}
    };
    expect(await messageOf(() => createMcpHandler(newServer, { sessionStore, ...services }))).toBeUndefined();
  });
});

/* eslint-disable @typescript-eslint/no-misused-promises -- it refuses in tests what users without it may write */
describe('a Promise that was not awaited is refused by the name of its option', () => {
  const notAwaited = `Invalid option sessionStore: got a Promise (was it awaited?), expected ${SESSION_STORE}`;
  const cases: [() => unknown, string][] = [
    [() => createMcpHandler(newServer, { sessionStore: Promise.resolve(sessionStore) } as never), notAwaited],
    [
      // @ts-expect-error -- the compiler refuses it too
      () => createMcpHandler(newServer, { ...createSessionServices({ preferMemory: true }) }),
      notAwaited
    ],
    [
      // @ts-expect-error -- the compiler refuses it too
      () => new WebStandardStreamableHTTPServerTransport({ ...createSessionServices({ preferMemory: true }) }),
      notAwaited
    ],
    [
      // @ts-expect-error -- the compiler refuses it too
      () => createMcpHandler(newServer, { sessionStore: createSessionStore({ preferMemory: true }) }),
      notAwaited
    ],
    [
      // @ts-expect-error -- the compiler refuses it too
      () => createMcpHandler(newServer, { ...createSessionStore({ preferMemory: true }) }),
      notAwaited
    ],
    [
      () => createMcpHandler(newServer, Promise.resolve({ sessionStore }) as never),
      'Invalid option options: got a Promise (was it awaited?), expected an object'
    ],
    [
      () => createMcpHandler(Promise.resolve(newServer) as never),
      'Invalid option serverFactory: got a Promise (was it awaited?), expected a function that returns a server'
    ],
    [
      () => new RedisSessionStore({ redis: Promise.resolve({}) as never }),
      'Invalid option redis: got a Promise (was it awaited?), expected a client of ioredis, node-redis or iovalkey'
    ]
  ];
  test.each(cases.map(([act, message]) => [message, act] as const))('%s', async (message, act) => {
    expect(await messageOf(act)).toBe(message);
  });
});
/* eslint-enable @typescript-eslint/no-misused-promises */

describe('a value of the wrong kind is refused with a message that shows what was given, unless it may be a secret', () => {
  const handler = (options: object) => () => createMcpHandler(newServer, options);
  const cases: [() => unknown, string][] = [
    [handler({ idleTimeoutMs: '5 min' }), "idleTimeoutMs: got '5 min', expected a number from 0 to 2147483647"],
    [handler({ idleTimeoutMs: '300' }), "idleTimeoutMs: got '300', expected a number from 0 to 2147483647"],
    [handler({ sessionStorageMode: 'extern' }), "sessionStorageMode: got 'extern', expected 'memory' or 'external'"],
    [handler({ sessionStorageMode: true }), "sessionStorageMode: got true, expected 'memory' or 'external'"],
    [handler({ sessionStore: 'redis' }), `sessionStore: got 'redis', expected ${SESSION_STORE}`],
    [handler({ sessionStore: 'redis://u:secret@host' }), `sessionStore: got a URL, expected ${SESSION_STORE}`],
    [handler({ sessionStore: 'Zm9vYmFyYmF6cXV4MTIzNA==' }), `sessionStore: got a string, expected ${SESSION_STORE}`],
    [handler({ sessionStore: redis }), `sessionStore: got a Redis client, expected ${SESSION_STORE}`],
    [
      handler({ sessionStore: RedisSessionStore }),
      `sessionStore: got a class (was it created with new?), expected ${SESSION_STORE}`
    ],
    [handler({ onerror: 'log' }), "onerror: got 'log', expected a function"],
    [
      handler({ sessionIdGenerator: undefined }),
      'sessionIdGenerator: got undefined, expected a function, or no such option: createMcpHandler always has sessions. ' +
        'Without sessions, use a new transport for each request'
    ],
    [
      () => new RedisSessionStore({ redis: 'redis://localhost' as never }),
      'redis: got a URL, expected a client of ioredis, node-redis or iovalkey'
    ],
    [
      () => new RedisSessionStore(redis as never),
      'redis: got undefined, expected a client of ioredis, node-redis or iovalkey'
    ],
    [
      () => new PostgresSessionStore({ pool: 'postgres://localhost' as never }),
      'pool: got a URL, expected a Pool of pg'
    ],
    [
      () => createMcpHandler(newServer() as never),
      'serverFactory: got an object, expected a function that returns a server'
    ]
  ];
  test.each(cases.map(([act, message]) => [message, act] as const))('%s', async (message, act) => {
    expect(await messageOf(act)).toBe(`Invalid option ${message}`);
  });
});

test('a redis:// URL of a port that expects TLS is refused with a hint at rediss://', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => sockets.push(socket));
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const redisUrl = `redis://user:secret@127.0.0.1:${port}`;
  const message = await messageOf(() => createSessionServices({ redisUrl, connectTimeout: 10_000 }));
  expect(message).toMatch(
    /Redis .*at redis:\/\/127\.0\.0\.1:\d+ .*\. If it expects TLS, its URL begins with rediss:\/\/$/
  );
  expect(message).not.toContain('secret');
  for (const socket of sockets) socket.destroy();
  server.close();
});

describe('an error of a backend names its reason in its message', () => {
  const cases: [object, string][] = [
    [
      Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' }),
      'failed (ECONNREFUSED)'
    ],
    [new Error('WRONGPASS invalid username-password pair'), 'failed (WRONGPASS)'],
    [Object.assign(new AggregateError([]), { errors: [{ code: 'ETIMEDOUT' }] }), 'failed (ETIMEDOUT)'],
    [new Error('no answer within 2000 ms'), 'failed (no answer within 2000 ms)'],
    [Object.assign(new Error('x'), { name: 'ClientClosedError' }), 'failed (ClientClosedError)'],
    [new Error('the session 1234 of redis://user:secret@host'), 'failed'],
    [new BackendUnavailableError('await its connect() first'), 'failed (await its connect() first)']
  ];
  test.each(cases.map(([cause, message]) => [message, cause] as const))('%s', (message, cause) => {
    expect(new SessionStoreUnavailableError('failed', { cause }).message).toBe(message);
  });
});

describe('without onerror', () => {
  const clientInfo = { name: 'unit', version: '1' };
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo };
  const post = (sessionId?: string): Request =>
    new Request('http://localhost/mcp', {
      method: 'POST',
      headers: {
        accept: 'application/json, text/event-stream',
        'content-type': 'application/json',
        ...(sessionId && { 'mcp-session-id': sessionId })
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: sessionId ? 'ping' : 'initialize', params })
    });

  test('each kind of error is one process warning a minute, and a client cannot cause one', async () => {
    const emitted = jest.spyOn(process, 'emitWarning').mockReturnValue();
    let now = 1_000_000_000;
    const restoreTimers = replaceTimers({ performance: { now: () => now } });
    try {
      const refused = Object.assign(new Error('x'), { code: 'ECONNREFUSED' });
      const store = new InMemorySessionStore();
      store.touchSession = async () => Promise.reject(refused);
      const away = createMcpHandler(newServer, { sessionStore: store });
      const broken = createMcpHandler(() => {
        throw new Error('no such module');
      });
      const warnings = (): string[] => emitted.mock.calls.map(([message]) => String(message));

      expect((await broken.fetch(post('unknown'))).status).toBe(404);
      expect(warnings()).toEqual([]);
      for (let round = 0; round < 2; round++) {
        expect((await broken.fetch(post())).status).toBe(500);
        expect((await away.fetch(post('known'))).status).toBe(503);
      }
      expect(warnings()).toEqual([
        'serverFactory failed: no such module. Pass onerror to createMcpHandler to receive errors.',
        expect.stringMatching(
          /^touchSession failed for session \w+ \(ECONNREFUSED\)\. Pass onerror to createMcpHandler to receive errors\.$/
        )
      ]);
      expect(emitted.mock.calls.map(([, options]) => options)).toEqual([
        { type: 'AnypodWarning', code: 'ANYPOD_SERVER_FACTORY' },
        { type: 'AnypodWarning', code: 'ANYPOD_STORE_UNAVAILABLE' }
      ]);
      now += 60_000;
      await broken.fetch(post());
      expect(warnings()).toHaveLength(3);
    } finally {
      restoreTimers();
      emitted.mockRestore();
    }
  });

  /** The warnings of one request, each as its code and its message. */
  async function warningsOf(serve: (request: Request) => Promise<Response>): Promise<string[]> {
    let now = 2_000_000_000 + performance.now() * 1_000_000;
    const restoreTimers = replaceTimers({ performance: { now: () => (now += 1) } });
    const emitted = jest.spyOn(process, 'emitWarning').mockReturnValue();
    try {
      await (await serve(post())).text();
      return emitted.mock.calls.map(
        ([message, options]) => `${(options as { code?: string }).code}: ${String(message)}`
      );
    } finally {
      restoreTimers();
      emitted.mockRestore();
    }
  }

  const toReceive = 'Pass onerror to createMcpHandler to receive errors.';

  test('a factory that returns one server for all sessions is named', async () => {
    const server = newServer();
    const handler = createMcpHandler(() => server);
    await handler.fetch(post());
    expect(await warningsOf(handler.fetch)).toEqual([
      'ANYPOD_INVALID_OPTION: Invalid option serverFactory: got a function that returned the server of another session, ' +
        `expected one that makes a new server for each call. ${toReceive}`
    ]);
  });

  test('a Redis that is away is named with the reason, although ioredis holds commands back', async () => {
    const away = new Redis('redis://user:hunter2@127.0.0.1:1', { socketTimeout: 5000 });
    away.on('error', () => {});
    const handler = createMcpHandler(newServer, {
      sessionStore: new RedisSessionStore({ redis: away }),
      storeTimeoutMs: 300
    });
    expect(await warningsOf(handler.fetch)).toEqual([
      `ANYPOD_STORE_UNAVAILABLE: storeSession did not answer within 300 ms (ECONNREFUSED). ${toReceive}`
    ]);
    const later = jest.spyOn(process, 'emitWarning').mockReturnValue();
    await handler.close();
    away.disconnect();
    later.mockRestore();
  });

  test('a node-redis client that is not connected is named, and a transport that is wired by hand warns as well', async () => {
    const sessionStore = new RedisSessionStore({
      redis: createClient({ pingInterval: 1000, socket: { socketTimeout: 5000 } })
    });
    const transport = new WebStandardStreamableHTTPServerTransport({ sessionStore });
    await newServer().connect(transport);
    const [first, ...others] = await warningsOf(request => transport.handleRequest(request));
    expect(first).toMatch(
      /^ANYPOD_STORE_UNAVAILABLE: storeSession failed for session \w+ \(The node-redis client is not connected: await its connect\(\) first, and close it last\)\. Set the transport's onerror before connect to receive errors\.$/
    );
    expect(others).toEqual([]);
    await transport.close();

    const watched = new WebStandardStreamableHTTPServerTransport({ sessionStore });
    const reported: Error[] = [];
    watched.onerror = error => reported.push(error);
    await newServer().connect(watched);
    expect(await warningsOf(request => watched.handleRequest(request))).toEqual([]);
    expect(reported).toHaveLength(1);
  });

  test('a body that other code has read is named, to the client and in a warning', async () => {
    const handler = createMcpHandler(newServer);
    const request = post();
    await request.text();
    const message =
      'The body of the request was read before: pass the parsed body as the third argument of handler.node or ' +
      'handleRequest, or as the option parsedBody of handler.fetch';
    let answer: Response | undefined;
    expect(await warningsOf(async () => (answer = await handler.fetch(request)).clone())).toEqual([
      `ANYPOD_BODY_WAS_READ: ${message}`
    ]);
    expect([answer?.status, await answer?.json()]).toEqual([
      500,
      { jsonrpc: '2.0', error: { code: -32603, message: `Internal error: ${message}` }, id: null }
    ]);
  });
});
