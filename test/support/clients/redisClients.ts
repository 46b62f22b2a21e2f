import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5';
import { Cluster as ValkeyCluster, Redis as Valkey } from 'iovalkey';
import type {
  NodeRedisClient,
  RedisBusClient,
  RedisClient,
  RedisEventClient,
  RedisTaskClient,
  RedisTaskQueueClient
} from 'mcp-sdk-anypod/server';
import * as redis6 from 'redis';
import * as redis5 from 'redis5';

/** What every class of this package takes as `redis`. */
export type AnyClient =
  (RedisClient & RedisBusClient & RedisEventClient & RedisTaskClient & RedisTaskQueueClient) | NodeRedisClient;

export interface OpenClient {
  readonly redis: AnyClient;
  close(): Promise<void>;
}

/** Where to, and who as. */
export interface Where {
  url: string;
  username?: string;
  password?: string;
  /** A certificate authority in PEM. */
  ca?: string;
}

export type Connect = (where: Where) => Promise<OpenClient>;

/** They tell of outages that the tests bring about. */
const ignore = () => {};

interface IoredisLike {
  on(event: 'error', listener: () => void): unknown;
  connect(): Promise<unknown>;
  disconnect(): void;
}

async function opened<T extends IoredisLike & AnyClient>(client: T): Promise<OpenClient> {
  client.on('error', ignore);
  await client.connect();
  return { redis: client, close: async () => client.disconnect() };
}

interface NodeRedisLike extends NodeRedisClient {
  connect(): Promise<unknown>;
  destroy(): unknown;
}

async function openedNodeRedis(client: NodeRedisLike): Promise<OpenClient> {
  await client.connect();
  return { redis: client, close: async () => void (await client.destroy()) };
}

function nodeOf({ url }: Where): { host: string; port: number } {
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

const ofIoredis = ({ username, password, ca }: Where) => ({
  username,
  password,
  ...(ca === undefined ? {} : { tls: { ca } })
});
const ofNodeRedis = ({ username, password, ca }: Where) => ({
  username,
  password,
  ...(ca === undefined ? {} : { socket: { tls: true as const, ca } })
});

/** Clients for one server. */
export const single: Record<string, Connect> = {
  'ioredis 6': where => opened(new Redis(where.url, { lazyConnect: true, ...ofIoredis(where) })),
  'ioredis 5': where => opened(new Redis5(where.url, { lazyConnect: true, ...ofIoredis(where) })),
  iovalkey: where => opened(new Valkey(where.url, { lazyConnect: true, ...ofIoredis(where) })),
  'node-redis 6': where => openedNodeRedis(redis6.createClient({ url: where.url, ...ofNodeRedis(where) })),
  'node-redis 5': where => openedNodeRedis(redis5.createClient({ url: where.url, ...ofNodeRedis(where) }))
};

/** Clients for a Cluster, by one of its nodes. */
export const clustered: Record<string, Connect> = {
  'ioredis 6': where => opened(new Cluster([nodeOf(where)], { lazyConnect: true, redisOptions: ofIoredis(where) })),
  'ioredis 5': where => opened(new Cluster5([nodeOf(where)], { lazyConnect: true, redisOptions: ofIoredis(where) })),
  iovalkey: where => opened(new ValkeyCluster([nodeOf(where)], { lazyConnect: true, redisOptions: ofIoredis(where) })),
  'node-redis 6': where =>
    openedNodeRedis(redis6.createCluster({ rootNodes: [{ url: where.url }], defaults: ofNodeRedis(where) })),
  'node-redis 5': where =>
    openedNodeRedis(redis5.createCluster({ rootNodes: [{ url: where.url }], defaults: ofNodeRedis(where) }))
};

/** Clients for what a group of Sentinels watches. */
export const watched: Record<
  string,
  (where: { name: string; sentinels: readonly { host: string; port: number }[] }) => Promise<OpenClient>
> = {
  'ioredis 6': ({ name, sentinels }) => opened(new Redis({ name, sentinels: [...sentinels], lazyConnect: true })),
  'ioredis 5': ({ name, sentinels }) => opened(new Redis5({ name, sentinels: [...sentinels], lazyConnect: true })),
  iovalkey: ({ name, sentinels }) => opened(new Valkey({ name, sentinels: [...sentinels], lazyConnect: true })),
  'node-redis 6': ({ name, sentinels }) =>
    openedNodeRedis(redis6.createSentinel({ name, sentinelRootNodes: [...sentinels] })),
  'node-redis 5': ({ name, sentinels }) =>
    openedNodeRedis(redis5.createSentinel({ name, sentinelRootNodes: [...sentinels] }))
};
