import {
  BackendUnavailableError,
  InvalidOptionError,
  RedisSessionBus,
  RedisSessionStore,
  type RedisSessionStoreOptions
} from 'mcp-sdk-anypod/server';
import { Redis } from 'ioredis';
import { createClient, createClientPool, createCluster } from 'redis';
import { createClient as createClient5 } from 'redis5';

type Client = [name: string, make: () => RedisSessionStoreOptions['redis']];

test.each<Client>([
  ['node-redis 6', () => createClient()],
  ['node-redis 5', () => createClient5()],
  ['node-redis 6 of a Cluster', () => createCluster({ rootNodes: [] })]
])('%s says that it is not connected yet', async (_name, make) => {
  const redis = make();
  await expect(new RedisSessionStore({ redis }).sessionExists('x')).rejects.toThrow(/not connected.*connect\(\)/);
  const subscribed = new RedisSessionBus({ redis }).subscribe('x', () => {});
  await expect(subscribed).rejects.toThrow(BackendUnavailableError);
});

test('an unsupported or too old client is refused with the names of the supported ones', () => {
  const old = { isOpen: true, sendCommand: () => {}, on: () => {}, duplicate: () => {} };
  for (const redis of [old, createClientPool()]) {
    expect(() => new RedisSessionStore({ redis: redis as never })).toThrow(InvalidOptionError);
    expect(() => new RedisSessionStore({ redis: redis as never })).toThrow('node-redis');
  }
});

test.each<Client>([
  ['ioredis with readOnly', () => new Redis({ lazyConnect: true, readOnly: true })],
  [
    "ioredis with role: 'slave'",
    () => new Redis({ lazyConnect: true, sentinels: [{ host: '127.0.0.1', port: 1 }], name: 'x', role: 'slave' })
  ],
  ['node-redis with readonly', () => createClient({ readonly: true })]
])('a client of a replica is refused: %s', (_name, make) => {
  expect(() => new RedisSessionStore({ redis: make() })).toThrow(/uses a replica, expected a client of a master/);
});
