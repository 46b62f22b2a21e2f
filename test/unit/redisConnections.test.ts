import { Cluster, Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { Redis as Valkey } from 'iovalkey';
import { createClient, createCluster, createSentinel } from 'redis';
import * as redis5 from 'redis5';
import type * as redisSessionStore from '../../src/backends/redis/sessionStore.js';

/** Nothing is connected. */
const lazy = { lazyConnect: true };
const node = { host: '127.0.0.1', port: 1 };
const url = 'redis://127.0.0.1:1';
const socket = { socketTimeout: 5000 };
const sentinels = { name: 'mymaster', sentinelRootNodes: [node] };

/** The warnings of a process that makes stores with this client. */
function warningsOf(client: object): [string, unknown][] {
  const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => {});
  try {
    jest.isolateModules(() => {
      const { RedisSessionStore } = jest.requireActual<typeof redisSessionStore>(
        '../../src/backends/redis/sessionStore.js'
      );
      for (let i = 0; i < 3; i++) new RedisSessionStore({ redis: client as Redis });
    });
    return emitWarning.mock.calls as unknown as [string, unknown][];
  } finally {
    emitWarning.mockRestore();
  }
}

describe('a Redis client that does not notice a dead connection', () => {
  test.each<[string, object, string]>([
    ['ioredis', new Redis(lazy), 'socketTimeout: 5000'],
    // It ends the call, and keeps the connection.
    ['ioredis with commandTimeout', new Redis({ ...lazy, commandTimeout: 1000 }), 'socketTimeout: 5000'],
    ['ioredis with keepAlive', new Redis({ ...lazy, keepAlive: 1000 }), 'socketTimeout: 5000'],
    ['ioredis 5', new Redis5(lazy), 'socketTimeout: 5000'],
    ['iovalkey', new Valkey(lazy), 'socketTimeout: 5000'],
    ['a Cluster of ioredis', new Cluster([node], lazy), 'redisOptions: { socketTimeout: 5000 }'],
    ['node-redis', createClient({ url }), 'pingInterval: 1000, socket: { socketTimeout: 5000 }'],
    ['node-redis 5', redis5.createClient({ url }), 'pingInterval: 1000, socket: { socketTimeout: 5000 }'],
    [
      'node-redis with pingInterval',
      createClient({ url, pingInterval: 1000 }),
      'pingInterval: 1000, socket: { socketTimeout: 5000 }'
    ],
    [
      'a cluster of node-redis',
      createCluster({ rootNodes: [{ url }] }),
      'defaults: { pingInterval: 1000, socket: { socketTimeout: 5000 } }'
    ]
  ])('causes one warning, which names the option: %s', (_, client, remedy) => {
    const message =
      'The Redis client was made without socketTimeout. If its connection dies without a reset, every request is answered ' +
      `503 until the operating system gives up, which takes up to 15 minutes. Give the client ${remedy}`;
    expect(warningsOf(client)).toEqual([[message, { type: 'AnypodWarning', code: 'ANYPOD_REDIS_SOCKET_TIMEOUT' }]]);
  });
});

describe('a Redis client that notices a dead connection, or whose options are unknown', () => {
  test.each<[string, object]>([
    ['ioredis', new Redis({ ...lazy, ...socket })],
    ['ioredis 5', new Redis5({ ...lazy, ...socket })],
    ['iovalkey', new Valkey({ ...lazy, ...socket })],
    ['ioredis with Sentinel', new Redis({ ...lazy, name: 'mymaster', sentinels: [node], ...socket })],
    ['ioredis on a socket file', new Redis('/tmp/redis.sock', lazy)],
    ['a Cluster of ioredis', new Cluster([node], { ...lazy, redisOptions: socket })],
    ['node-redis', createClient({ url, pingInterval: 1000, socket })],
    ['node-redis 5', redis5.createClient({ url, socket })],
    ['node-redis on a socket file', createClient({ socket: { path: '/tmp/redis.sock', tls: false } })],
    ['a cluster of node-redis', createCluster({ rootNodes: [{ url }], defaults: { socket } })],
    ['a cluster of node-redis 5', redis5.createCluster({ rootNodes: [{ url }], defaults: { socket } })],
    ['a sentinel client of node-redis', createSentinel({ ...sentinels, nodeClientOptions: { socket } })]
  ])('causes no warning: %s', (_, client) => {
    expect(warningsOf(client)).toEqual([]);
  });
});
