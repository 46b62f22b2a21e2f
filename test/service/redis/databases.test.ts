import { Redis as Redis6 } from 'ioredis';
import { Redis as Redis5 } from 'ioredis5';
import { Redis as Valkey } from 'iovalkey';
import { type NodeRedisClient, type RedisBusClient, RedisSessionBus } from 'mcp-sdk-anypod/server';
import * as redis6 from 'redis';
import * as redis5 from 'redis5';
import { type RedisServer, startRedisServer } from '../../support/servers/redisServer.js';
import { stopAfterTest } from '../../support/stopAfterTest.js';
import { until } from '../../support/until.js';

let server: RedisServer;
beforeAll(async () => void (server = await startRedisServer()));
afterAll(() => server.stop());

type Client = RedisBusClient | NodeRedisClient;

function ioredis(client: RedisBusClient & { disconnect(): void }): Client {
  stopAfterTest(() => client.disconnect());
  return client;
}

async function nodeRedis(
  client: NodeRedisClient & { connect(): Promise<unknown>; destroy(): unknown }
): Promise<Client> {
  await client.connect();
  stopAfterTest(async () => void (await client.destroy()));
  return client;
}

const clients: [string, (database: number) => Client | Promise<Client>][] = [
  ['ioredis 6', db => ioredis(new Redis6(server.url, { db }))],
  ['ioredis 6 with the database in its URL', db => ioredis(new Redis6(`${server.url}/${db}`))],
  ['ioredis 5', db => ioredis(new Redis5(server.url, { db }))],
  ['iovalkey', db => ioredis(new Valkey(server.url, { db }))],
  ['node-redis 6', database => nodeRedis(redis6.createClient({ url: server.url, database }))],
  ['node-redis 6 with the database in its URL', db => nodeRedis(redis6.createClient({ url: `${server.url}/${db}` }))],
  ['node-redis 5', database => nodeRedis(redis5.createClient({ url: server.url, database }))]
];

test.each(clients)('deployments in two databases of one Redis do not hear each other, with %s', async (_, connect) => {
  const busOf = async (database: number): Promise<RedisSessionBus> => {
    const bus = new RedisSessionBus({ redis: await connect(database) });
    stopAfterTest(() => bus.close());
    return bus;
  };
  const databases = [0, 1, 1, 2];
  const buses = await Promise.all(databases.map(busOf));
  const heard: string[][] = await Promise.all(
    buses.map(async bus => {
      const own: string[] = [];
      await bus.subscribe('hosts', message => own.push(message));
      return own;
    })
  );
  for (const [index, bus] of buses.entries()) await bus.publish('hosts', `${databases[index]}`);
  await until('all have been heard', () => heard.flat().length >= 6);
  // Redis passes messages on in their order: what comes after them comes last.
  for (const bus of buses) await bus.publish('hosts', 'last');
  await until('the last ones have been heard', () => heard.every(own => own.at(-1) === 'last'));
  const others = heard.map(own => own.filter(message => message !== 'last'));
  expect(others).toEqual([['0'], ['1', '1'], ['1', '1'], ['2']]);
});
