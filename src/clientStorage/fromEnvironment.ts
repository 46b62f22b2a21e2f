import { CLIENT_SESSION_TTL_SECONDS } from '../clientSessions/clientSessions.js';
import { InvalidOptionError } from '../errors.js';
import { type BackendOptions, environmentOf, logOf } from '../services/options.js';
import { DEFAULT_REDIS_URL, openRedis } from '../services/openRedis.js';
import { openPostgres } from '../services/openPostgres.js';
import { checkOneOf } from '../validate.js';
import type { OpenedStorage } from './clientStorage.js';
import { JsonFileSessions } from './jsonFile.js';
import { nodeModules } from './node.js';
import { SqliteSessions } from './sqlite.js';
import { CLIENT_KEY_PREFIX, CLIENT_TABLE, sessionsIn } from './storageBackends.js';
import { MemorySessions } from './table.js';

type Env = Readonly<Record<string, string | undefined>>;

const TYPES = ['redis', 'postgres', 'postgresql', 'sqlite', 'file', 'memory'];
const TTL = CLIENT_SESSION_TTL_SECONDS;
const CONNECT_TIMEOUT_MS = 2000;

/**
 * Opens the storage that the environment names: `MCP_TS_STORAGE_TYPE`, else the first of `REDIS_URL`,
 * `MCP_TS_STORAGE_FILE`, `MCP_TS_STORAGE_SQLITE_PATH` and `DATABASE_URL` that is set, else memory.
 * @throws BackendUnavailableError, InvalidOptionError
 */
export async function openFromEnvironment(env: Env = environmentOf({})): Promise<OpenedStorage> {
  switch (typeOf(env)) {
    case 'redis':
      return inStore(openRedis(env.REDIS_URL || DEFAULT_REDIS_URL, 'REDIS_URL', backendOptions()));
    case 'postgres':
    case 'postgresql':
      if (!env.DATABASE_URL) {
        throw new InvalidOptionError(
          'DATABASE_URL',
          'nothing',
          "an address, because MCP_TS_STORAGE_TYPE is 'postgres'"
        );
      }
      return inStore(openPostgres(env.DATABASE_URL, backendOptions()));
    case 'sqlite':
      return {
        backend: await SqliteSessions.open(env.MCP_TS_STORAGE_SQLITE_PATH || './sessions.db', 'mcp_sessions', TTL)
      };
    case 'file':
      return { backend: await JsonFileSessions.open(await fileAt(env.MCP_TS_STORAGE_FILE || './sessions.json'), TTL) };
    default:
      if (env.NODE_ENV === 'production' && !env.MCP_TS_STORAGE_TYPE) {
        backendOptions().onLog(
          'warn',
          'Client sessions are kept in the memory of this process only. Set REDIS_URL, or MCP_TS_STORAGE_TYPE=memory if this is meant.'
        );
      }
      return { backend: new MemorySessions(TTL) };
  }
}

function typeOf(env: Env): string {
  const type = env.MCP_TS_STORAGE_TYPE?.trim().toLowerCase();
  if (type) {
    checkOneOf('MCP_TS_STORAGE_TYPE', type, TYPES);
    return type;
  }
  if (env.REDIS_URL) return 'redis';
  // The names that mean this storage come before one that often means the application's own database.
  if (env.MCP_TS_STORAGE_FILE) return 'file';
  if (env.MCP_TS_STORAGE_SQLITE_PATH) return 'sqlite';
  return env.DATABASE_URL ? 'postgres' : 'memory';
}

function backendOptions(): BackendOptions {
  return {
    keyPrefix: CLIENT_KEY_PREFIX,
    table: CLIENT_TABLE,
    ttlSeconds: TTL,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    onLog: logOf({})
  };
}

async function inStore(opening: ReturnType<typeof openRedis>): Promise<OpenedStorage> {
  const opened = await opening;
  return { backend: sessionsIn(opened.sessionStore), close: () => opened.close() };
}

/**
 * The JSON file for a path that may also be the directory in which a transport keeps its sessions: a directory, or a path
 * that does not end with .json and does not exist yet. Then the file is beside it.
 */
async function fileAt(path: string): Promise<string> {
  const stats = await nodeModules()
    .fs.stat(path)
    .catch(() => undefined);
  const isDirectory = stats ? stats.isDirectory() : !/\.json$/i.test(path);
  return isDirectory ? `${path.replace(/[/\\]+$/, '')}-clients.json` : path;
}
