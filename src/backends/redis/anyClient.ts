import { InvalidOptionError } from '../../errors.js';
import { checkMethods } from '../../validate.js';
import { checkIoredisConnections, checkNodeRedisConnections } from './deadConnections.js';
import { adaptNodeRedis, type NodeRedisClient } from './nodeRedis.js';

/**
 * Returns the client of an option named `redis`, with the API of ioredis. Only this function distinguishes the libraries.
 * @param methods - the methods of an ioredis client that the caller needs
 * @throws InvalidOptionError
 */
export function redisClient<T extends object>(client: T | NodeRedisClient, methods: readonly string[]): T {
  if (!isNodeRedis(client)) {
    checkMethods('redis', client, methods, 'a client of ioredis, node-redis or iovalkey');
    checkIsOfMaster(client);
    checkIoredisConnections(client);
    return client;
  }
  if (!('withTypeMapping' in client)) throw unsupported('a node-redis client older than version 5');
  if ('totalClients' in client) throw unsupported('a node-redis pool, which cannot subscribe');
  checkIsOfMaster(client);
  checkNodeRedisConnections(client);
  return adaptNodeRedis(client) as T;
}

/**
 * The number of the database on which a client (with the API of ioredis) was opened; a Cluster has one database. A
 * later `SELECT` is not detected.
 */
export function databaseOf(client: object): number {
  const { isCluster, options, database } = client as {
    isCluster?: boolean;
    options?: { db?: unknown };
    /** Only on an adapted client of node-redis. */
    database?: unknown;
  };
  return isCluster ? 0 : Number(database ?? options?.db ?? 0) || 0;
}

function isNodeRedis(client: object): client is NodeRedisClient {
  return typeof client === 'object' && client !== null && 'sendCommand' in client && 'isOpen' in client;
}

function unsupported(kind: string): InvalidOptionError {
  return new InvalidOptionError('redis', kind, 'a client of ioredis 5 or 6, iovalkey, or redis (node-redis) 5 or 6');
}

/** A client of a replica cannot write, and its reads may be out of date. */
function checkIsOfMaster(client: object): void {
  const { options } = client as { options?: { readOnly?: unknown; readonly?: unknown; role?: unknown } };
  const kind =
    options?.readOnly === true || options?.readonly === true
      ? 'a client with the option readOnly'
      : options?.role === 'slave'
        ? "a client with the option role: 'slave'"
        : undefined;
  if (kind !== undefined)
    throw new InvalidOptionError('redis', `${kind}, which uses a replica`, 'a client of a master');
}
