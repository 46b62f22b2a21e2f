import { Redis } from 'ioredis';
import { type McpHandlerOptions, RedisSessionStore, type RedisSessionStoreOptions } from 'mcp-sdk-anypod/server';
import { startRedisServer, type RedisServer } from '../servers/redisServer.js';
import { startTcpProxy, type TcpProxy } from '../servers/tcpProxy.js';
import { LocalPod } from './localPod.js';

export interface TwoPods {
  server: RedisServer;
  /** With `overProxy` it carries what the pods say to Redis, and can fail. */
  proxy: TcpProxy;
  /** A client of the test itself, which is connected directly. */
  admin: Redis;
  /** Those of the pods. */
  clients: Redis[];
  first: LocalPod;
  second: LocalPod;
}

export interface TwoPodsOptions extends McpHandlerOptions {
  store?: Omit<RedisSessionStoreOptions, 'redis'>;
  /** @default false */
  overProxy?: boolean;
}

/** Two pods on one Redis that run during the tests of a file; the members are there in hooks and tests. */
export function useTwoPods({ store, overProxy = false, ...options }: TwoPodsOptions = {}): TwoPods {
  const used = {} as TwoPods;
  beforeAll(async () => {
    const server = await startRedisServer();
    const proxy = await startTcpProxy(server.port);
    const connect = (port: number) => new Redis(port, '127.0.0.1').on('error', () => {});
    const clients = [1, 2].map(() => connect(overProxy ? proxy.port : server.port));
    const start = (redis: Redis) =>
      LocalPod.start({ sessionStore: new RedisSessionStore({ redis, ...store }), ...options });
    const [first, second] = await Promise.all(clients.map(start));
    Object.assign(used, { server, proxy, admin: connect(server.port), clients, first, second });
  });
  afterAll(async () => {
    await Promise.all([used.first.stop(), used.second.stop()]);
    [used.admin, ...used.clients].forEach(client => client.disconnect());
    await used.proxy.stop();
    await used.server.stop();
  });
  return used;
}
