import { BackendUnavailableError } from '../errors.js';
import { loaded } from './backend.js';
import { ioredisLibrary } from './ioredisLibrary.js';
import { nodeRedisLibrary } from './nodeRedisLibrary.js';
import type { RedisLibrary } from './redisLibrary.js';

/**
 * The library that is installed: ioredis, else redis (node-redis), else iovalkey.
 * @throws BackendUnavailableError that names the three if there is none
 */
export async function loadRedisLibrary(): Promise<RedisLibrary> {
  const library = (await loadIoredis()) ?? (await loadNodeRedis()) ?? (await loadIovalkey());
  if (library) return library;
  throw new BackendUnavailableError(
    'No client for Redis is installed: npm install ioredis (or redis, or iovalkey: one of them is enough)'
  );
}

// Bundlers accept a missing package if its import stands in a `try`.

async function loadIoredis(): Promise<RedisLibrary | undefined> {
  try {
    return ioredisLibrary(loaded(await import('#ioredis'), 'ioredis', 'Redis'));
  } catch (error) {
    return absent(error);
  }
}

async function loadNodeRedis(): Promise<RedisLibrary | undefined> {
  try {
    return nodeRedisLibrary(loaded(await import('#node-redis'), 'redis', 'createClient'));
  } catch (error) {
    return absent(error);
  }
}

async function loadIovalkey(): Promise<RedisLibrary | undefined> {
  try {
    // A fork of ioredis with the same interface.
    return ioredisLibrary(loaded(await import('#iovalkey'), 'iovalkey', 'Redis') as never);
  } catch (error) {
    return absent(error);
  }
}

/** @throws the error, unless it says that the package is not installed */
function absent(error: unknown): undefined {
  const { code } = error as { code?: string };
  if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
}
