import { InvalidOptionError } from '../errors.js';
import { checkOneOf } from '../validate.js';
import { DEFAULT_REDIS_URL } from './openRedis.js';
import {
  environmentOf,
  type SessionServicesOptions,
  STORAGE_ALIASES,
  STORAGE_TYPES,
  type StorageType
} from './options.js';

export interface Selection {
  readonly type: StorageType;
  /** A URL, or a file's path; '' for memory. */
  readonly address: string;
  /** The option or variable that selected it. */
  readonly by: string;
  /** Whether the environment names it. Then it is an error if the backend is unavailable. */
  readonly named: boolean;
}

/**
 * `preferMemory`, then `MCP_TS_STORAGE_TYPE`, the option `redisUrl`, `REDIS_URL`, `DATABASE_URL`, `MCP_TS_STORAGE_FILE`.
 * If none is set, the default Redis is tried. An empty variable counts as not set.
 * @throws InvalidOptionError
 */
export function selectStorage(options: SessionServicesOptions): Selection {
  const env = environmentOf(options);
  if (options.preferMemory) return { type: 'memory', address: '', by: 'preferMemory', named: false };
  const type = env.MCP_TS_STORAGE_TYPE?.trim().toLowerCase();
  if (type) return explicitly(type, options, env);
  if (options.redisUrl !== undefined) {
    return { type: 'redis', address: options.redisUrl, by: 'redisUrl', named: false };
  }
  for (const [candidate, variable] of Object.entries(VARIABLES)) {
    const address = env[variable];
    if (address) return { type: candidate as StorageType, address, by: variable, named: true };
  }
  return { type: 'redis', address: DEFAULT_REDIS_URL, by: 'default', named: false };
}

/** In the order of their priority. */
const VARIABLES = { redis: 'REDIS_URL', postgres: 'DATABASE_URL', file: 'MCP_TS_STORAGE_FILE' } as const;

function explicitly(
  given: string,
  options: SessionServicesOptions,
  env: Readonly<Record<string, string | undefined>>
): Selection {
  const by = 'MCP_TS_STORAGE_TYPE';
  checkOneOf(by, given, [...STORAGE_TYPES, ...Object.keys(STORAGE_ALIASES)]);
  const type = STORAGE_ALIASES[given] ?? (given as StorageType);
  if (type === 'memory') return { type, address: '', by, named: true };
  const address = type === 'redis' ? (options.redisUrl ?? (env.REDIS_URL || DEFAULT_REDIS_URL)) : env[VARIABLES[type]];
  if (!address) throw new InvalidOptionError(VARIABLES[type], 'nothing', `an address, because ${by} is '${type}'`);
  return { type, address, by, named: true };
}
