import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:tls';
import { jest } from '@jest/globals';
import {
  createMcpHandler,
  createMemorySessionStore,
  createSessionServices,
  createSessionStore,
  InMemorySessionStore,
  McpServer,
  RedisSessionStore,
  SessionStoreUnavailableError,
  WebStandardStreamableHTTPServerTransport
} from 'mcp-sdk-anypod/server';
import { replaceTimers } from '../../src/timers.js';

const sessionStore = new InMemorySessionStore();
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
    ['services', () => createSessionServices({ redis_url: 'redis://localhost' } as never), 'redisUrl']
  ];
  test.each(cases)('%s: %s', async (_where, act, meant) => {
    expect(await messageOf(act)).toMatch(new RegExp(`^Invalid option \\w+: got an unknown name, expected ${meant}$`));
  });

  test('and others pass, because objects are spread that serve more than one purpose', async () => {
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
  const notAwaited =
    'Invalid option sessionStore: got a Promise (was it awaited?), expected an object with the methods storeSession, ' +
    'getSession, updateSessionActivity, deleteSession, sessionExists';
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
  test.each(cases)('case %#', async (act, message) => {
    expect(await messageOf(act)).toBe(message);
  });
});
/* eslint-enable @typescript-eslint/no-misused-promises */

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
    [new Error('the session 1234 of redis://user:secret@host'), 'failed']
  ];
  test.each(cases)('case %#', (cause, message) => {
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
          /^ANYPOD_STORE_UNAVAILABLE: touchSession failed for session \w+ \(ECONNREFUSED\)\. Pass onerror/
        )
      ]);
      now += 60_000;
      await broken.fetch(post());
      expect(warnings()).toHaveLength(3);
    } finally {
      restoreTimers();
      emitted.mockRestore();
    }
  });
});
