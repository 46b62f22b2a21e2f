import { InvalidOptionError } from '../../errors.js';
import { checkMethods } from '../../validate.js';
import { adaptNodeRedis, type NodeRedisClient } from './nodeRedis.js';

/**
 * The client behind an option named `redis`, whichever library it is of: the one place that tells them apart.
 * @param methods - what the caller needs of an ioredis client
 * @throws InvalidOptionError
 */
export function redisClient<T extends object>(client: T | NodeRedisClient, methods: readonly string[]): T {
  if (!isNodeRedis(client)) {
    checkMethods('redis', client, methods);
    return client;
  }
  if (!('withTypeMapping' in client)) throw unsupported('a node-redis client older than version 5');
  if ('totalClients' in client) throw unsupported('a node-redis pool, which cannot subscribe');
  return adaptNodeRedis(client) as T;
}

function isNodeRedis(client: object): client is NodeRedisClient {
  return typeof client === 'object' && client !== null && 'sendCommand' in client && 'isOpen' in client;
}

function unsupported(kind: string): InvalidOptionError {
  return new InvalidOptionError('redis', kind, 'a client of ioredis 5 or 6, iovalkey, or redis (node-redis) 5 or 6');
}
