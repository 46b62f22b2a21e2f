import type * as NodeRedis from 'redis';
import type { NodeRedisClient } from '../backends/redis/nodeRedis.js';
import { type OwnRedis, type RedisLibrary, type RedisProbe, SOCKET_TIMEOUT_MS } from './redisLibrary.js';
import type { RedisAddress } from './redisUrl.js';

type Library = Pick<typeof NodeRedis, 'createClient' | 'createCluster'>;

/** The methods that are used of a single and of a Cluster client. */
interface Client extends NodeRedisClient {
  connect(): Promise<unknown>;
  close(): Promise<unknown>;
  destroy(): void;
  on(event: string, listener: (error: Error) => void): unknown;
}

const PING_MS = 1000;
const MAX_RETRY_MS = 2000;

/** Connects by `redis` (node-redis) 5 or 6. */
export function nodeRedisLibrary({ createClient, createCluster }: Library): RedisLibrary {
  return {
    probe(address, timeoutMs) {
      const socket = { ...socketOf(address), connectTimeout: timeoutMs, reconnectStrategy: false };
      return probeOf(createClient({ ...userOf(address), database: address.db, socket } as object));
    },
    client(address, isCluster) {
      let isConnected = false;
      // While the first connection is made, an error is thrown at once. By default the library retries it forever.
      const reconnectStrategy = (retries: number, cause: Error): number | Error =>
        isConnected ? Math.min(2 ** retries * 50, MAX_RETRY_MS) : cause;
      const socket = { ...socketOf(address), socketTimeout: SOCKET_TIMEOUT_MS, reconnectStrategy };
      const common = { ...userOf(address), pingInterval: PING_MS };
      const client = isCluster
        ? createCluster({ rootNodes: [{ socket }], defaults: { ...common, socket: withoutHost(socket) } })
        : createClient({ ...common, database: address.db, socket });
      return owned(client, () => (isConnected = true));
    }
  };
}

function userOf({ access: { username, password } }: RedisAddress): object {
  return { username, password };
}

function socketOf({ host, port, access: { tls, family } }: RedisAddress): object {
  return { host, port, ...(tls && { tls: true, ...tls }), ...(family !== undefined && { family }) };
}

/** The nodes of a Cluster have their own. */
function withoutHost(socket: object): object {
  return { ...socket, host: undefined, port: undefined };
}

function probeOf(client: Client): RedisProbe {
  let reason: Error | undefined;
  client.on('error', error => (reason = error));
  const send = (...args: string[]): Promise<unknown> =>
    (client as { sendCommand(args: string[]): Promise<unknown> }).sendCommand(args);
  return {
    async ask() {
      await client.connect();
      await send('PING');
      return send('INFO', 'cluster').then(String, () => '');
    },
    reason: () => reason,
    end: () => end(client)
  };
}

function owned(client: Client, onConnected: () => void): OwnRedis {
  return {
    redis: client,
    async connect() {
      await client.connect();
      onConnected();
    },
    onError(listener) {
      for (const event of ['error', 'node-error']) client.on(event, listener);
      for (const event of ['ready', 'node-ready']) client.on(event, () => listener(undefined));
    },
    quit: () => client.close(),
    disconnect: () => end(client)
  };
}

function end(client: Client): void {
  try {
    client.destroy();
  } catch {
    // It has no connection, or is closed.
  }
}
