import type { RedisClient, RedisEventClient, RedisTaskClient, RedisTaskQueueClient } from '../backends/redis/client.js';
import type { NodeRedisClient } from '../backends/redis/nodeRedis.js';
import type { RedisAddress } from './redisUrl.js';

/** A connection that does not answer a command within this time is replaced: it may have died without a reset. */
export const SOCKET_TIMEOUT_MS = 5000;

/** A connected client that every class on Redis takes. */
export type ConnectedRedis =
  (RedisClient & RedisEventClient & RedisTaskClient & RedisTaskQueueClient) | NodeRedisClient;

/** A client that this package made. */
export interface OwnRedis {
  readonly redis: ConnectedRedis;
  /** @throws the error of the library, which may contain the password */
  connect(): Promise<void>;
  /** Calls the listener with each error of a connection, and with undefined after the client has connected again. */
  onError(listener: (error: Error | undefined) => void): void;
  /** Waits for the commands under way. */
  quit(): Promise<unknown>;
  /** Closes the connections at once. */
  disconnect(): void;
}

/** A short connection that examines a server. It does not reconnect. */
export interface RedisProbe {
  /** Connects, and asks for the section `cluster` of INFO. @returns '' if the user has no right to ask */
  ask(): Promise<string>;
  /** The error of the connection, which says more than that of a command. */
  reason(): Error | undefined;
  end(): void;
}

/** One of the packages that connect to Redis. */
export interface RedisLibrary {
  probe(address: RedisAddress, timeoutMs: number): RedisProbe;
  client(address: RedisAddress, isCluster: boolean): OwnRedis;
}
